-- Say whether a code would be compared; change nothing.
--
-- KEYS   phone, challenge
-- ARGV   scope, policy
-- Reply  "0 0" gone, "1 retry_in" exhausted, "2 0" pending

-- include clock
-- include common
if not kind then
  return '0 0'
elseif left > 0 then
  return '2 0'
end
-- include wait
return '1 ' .. send_wait()
