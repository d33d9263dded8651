-- Refuse a send that is not admitted; `mode` says what is opened.
if mode ~= 'R' then
  if mode == 'N' then
    sends, last = visible, last_visible
  else
    sends, last = hidden, last_hidden
  end
elseif not kind then
  return '3'
elseif attempts >= max_attempts then
  return '2 ' .. send_wait()
end
local refused_for, refused_by = send_wait()
if refused_for > 0 then
  return '0 ' .. refused_for .. ' ' .. refused_by
end
