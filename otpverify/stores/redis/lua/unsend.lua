-- Take the record `found` out of the phone's log, if there is one.

local given_back = false
if found then
  local own, of_hidden = 0, sub(log, found, found) > 'Z'
  for from = begin, #log, 37 do
    local of = sub(log, from, from)
    if of ~= 'F' and (of > 'Z') == of_hidden and sub(log, from + 7, from + 14) == scope then
      own = own + 1
    end
  end
  -- A log that is full may have dropped an older send that would count in its place.
  if own < count + SPARE then
    given_back = true
    local records = sub(log, begin, found - 1) .. sub(log, found + 37)
-- include phone
    if of_hidden == (concealed or false) then
      last = nil
      for place = #sends, 1, -1 do
        if sends[place] == at then
          table.remove(sends, place)
          break
        end
      end
      for from = 1, #records, 37 do
        local of = sub(records, from, from)
        local may_cool = of ~= 'F' and (of < 'U' or of > 'Z')
        if may_cool and (of > 'Z') == of_hidden and sub(records, from + 7, from + 14) == scope then
          last = unpack_bytes('>I6', records, from + 1)
        end
      end
    end
  end
end
