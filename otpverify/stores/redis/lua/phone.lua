-- Write the phone, its streaks and `records`, for as long as any limit looks at them; or nothing where
-- nothing is left.

do
  local own, keep = '', streaks_end
  if streak > 0 then
    own = pack_bytes('>c1I6c8I4I6', 'R', streak_at, scope, streak, streak_window)
    keep = math.max(keep, streak_at + streak_window)
  end
  if records ~= '' then
    keep = math.max(keep, unpack_bytes('>I6', records, #records - 35) + window)
  end
  if keep > now then
    local value = pack_bytes('>I6I4', window, count) .. own .. streaks .. records
    call('PSETEX', KEYS[1], keep - now, value)
  elseif log ~= '' then
    call('DEL', KEYS[1])
  end
end
