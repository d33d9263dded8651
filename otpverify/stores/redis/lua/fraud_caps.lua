-- Caps on messages and money, as core/caps.py defines them: windows in 60 parts, of which each
-- counts until all of it is older than the window.
--
-- A value is the sum of the parts (a double, whole), and each part, oldest first: number (6 bytes),
-- amount (a double).

local part_ends, cap_live, cap_put
if #KEYS > 8 then -- there are caps; without any, to make the functions would take time
  function part_ends(part, window)
    return ceil((part + 1) * window / 60) + window
  end

  -- A cap's value without the parts that are over: where the others begin, and their sum.
  function cap_live(raw, window)
    local begin, sum = 9, unpack_bytes('>d', raw)
    assert(#raw > 8 and #raw % 14 == 8 and sum - sum == 0, 'a foreign value')
    while begin < #raw do
      local part, amount = unpack_bytes('>I6d', raw, begin)
      assert(amount - amount == 0, 'a foreign value')
      if part_ends(part, window) > now then
        break
      end
      begin, sum = begin + 14, sum - amount
    end
    return begin, sum
  end

  -- Add to a part, or take from it. `begin` and `sum` are those of the live parts.
  function cap_put(key, raw, window, begin, sum, part, amount)
    local stop = #raw -- up to here parts are older
    while stop > begin and unpack_bytes('>I6', raw, stop - 13) >= part do
      stop = stop - 14
    end
    local after = stop + 1
    if after < #raw then
      local number, taken = unpack_bytes('>I6d', raw, after)
      if number == part then
        after, amount, sum = after + 14, max(0, taken + amount), sum - taken
      end
    end
    local parts = raw:sub(begin, stop)
    if amount > 0 then
      parts, sum = parts .. pack_bytes('>I6d', part, amount), sum + amount
    end
    parts = parts .. raw:sub(after)
    if parts ~= '' then
      local last = part_ends(unpack_bytes('>I6', parts, #parts - 13), window)
      call('PSETEX', key, last - now, pack_bytes('>d', sum) .. parts)
    elseif raw ~= '' then
      call('DEL', key)
    end
  end
end
