-- Give back for a right code, and know its number.
--
-- KEYS   see fraud_ledger; without network and caps
-- ARGV   at_risk, how many times the price comes back (doubles), how long the number is known
--        (6 bytes; 0: nothing is kept of it)
-- Reply  "0": nothing was charged for the challenge, or it was credited before; "1"; "2 which": an
--        account refused the message, 0 prefix, 1 country, 2 world, so that nothing comes back

-- include fraud_ledger
-- include fraud_traffic
local at_risk, more, trusted = struct.unpack('>ddI6', ARGV[1])
-- include fraud_accounts
-- include fraud_give
if trusted > 0 then
  redis.call('SET', KEYS[5], struct.pack('>I6I4', now + trusted, 0), 'PX', trusted)
end
if bills == '' then
  return replies('0')
end
redis.call('DEL', KEYS[6])
count_traffic(0, 1, 0, 0, 0)
local paid, price = struct.unpack('>Bd', bills, #bills - 8)
if paid >= 8 and paid < 11 then
  return replies('2 ' .. paid - 8)
end
if paid < 8 then
  give(paid % 4 + 1, paid >= 4, price, more, 1)
end
return replies('1')
