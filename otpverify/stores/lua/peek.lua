-- Say whether a code would be compared; change nothing.
--
-- KEYS   phone, challenge
-- ARGV   policy, scope
-- Reply  {0, 0} gone, {1, retry_in} exhausted, {2, 0} pending

local kind, attempts = read_challenge(call('GET', KEYS[2]))
if not kind then
  return {0, 0}
end
read_phone()
if attempts >= max_attempts or budget_wait() > 0 then
  return {1, (send_wait())}
end
return {2, 0}
