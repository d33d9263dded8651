-- Give back for a right code, and know its number.
--
-- KEYS   see fraud_ledger; without network and caps
-- ARGV   at_risk, how many times the price comes back (doubles), how long the number is known
--        (6 bytes; 0: nothing is kept of it)
-- Reply  "0": nothing was charged for the challenge, or it was credited before; "1"; "2 which": an
--        account refused the message, 0 prefix, 1 country, 2 world, so that nothing comes back

-- include fraud_ledger
-- include fraud_traffic
local at_risk, times, trusted = unpack_bytes('>ddI6', ARGV[1])
local paid, price, entered, earned = 11, 0, 0, 0 -- as if nobody paid
if bills ~= '' then
  paid, price = unpack_bytes('>Bd', bills, #bills - 8)
end
if paid < 8 then
  entered, earned = 1, price
end
-- include fraud_accounts
local reply = '0'
if bills ~= '' then
  local group, place, prefix_after, country_after, world_after
  if paid < 8 then
-- include fraud_give
  end
  local sent, verified, refused, would_refuse, cost = 0, 1, 0, 0, 0
-- include fraud_keep
  call('DEL', KEYS[6])
  reply = (paid >= 8 and paid < 11) and '2 ' .. paid - 8 or '1'
end
if trusted > 0 then
  call('PSETEX', KEYS[5], trusted, pack_bytes('>I6I4', now + trusted, 0))
end
call('PSETEX', KEYS[1], '30000', reply)
return reply
