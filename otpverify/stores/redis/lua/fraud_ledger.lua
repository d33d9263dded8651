-- What fraud_charge, fraud_credit and fraud_refund begin with: all that one message concerns, as
-- core/fraud_ledger.py defines it; they are tested against it, answer by answer.
--
-- KEYS   nonce, prefix, country, world, number, bills, network, then one for each cap, and the
--        country's past in the end; fraud_credit does without network and caps
--
-- prefix, country, world: their accounts; see fraud_accounts. All numbers are big-endian. A country has
-- its tally after its accounts, and its past apart: what was sent and entered there; see fraud_traffic.
-- number: when it is known no more (6 bytes), how many messages were sent to it since its last right
-- code (4).
-- bills: what a challenge was charged: how many bills (1 byte); of each, oldest first, name and
-- expiry (6 bytes each), who paid (1 byte: the group, 0 new, 1 proven, 2 human, 3 known, and 4 added
-- if the world paid, too; or 8 prefix, 9 country, 10 world: its account refused, and the message was
-- only observed; or 11: nobody, as it was forced) and price (a double); then the nonce (6 bytes) and
-- the reply of the newest charge.
-- The nonce's key holds the reply for half a minute, so that a call that is repeated, since its
-- reply got lost, counts once. The reply of a charge lies with its bill instead: most calls are those.
-- A function would be made in each run, at the price of a command, so these scripts have few; what
-- several of them do stands in a file that they include.

-- include clock
local call, pack_bytes, unpack_bytes = redis.call, struct.pack, struct.unpack
local max, min, floor, ceil = math.max, math.min, math.floor, math.ceil
local had, there = call('MGET', unpack(KEYS, 1, #KEYS - 1)), 0
if had[1] then
  return had[1]
end
for place = 2, #KEYS - 1 do
  if had[place] then
    there = there + 1
  end
end
if there < #KEYS - 2 and call('EXISTS', unpack(KEYS, 2, #KEYS - 1)) > there then
  for place = 2, #KEYS - 1 do
    call('GET', KEYS[place]) -- an error if it is of another type, of which MGET says nothing
  end
end
local number, known_until, unanswered = had[5], nil, nil
if number then
  assert(#number == 10, 'a foreign value')
  known_until, unanswered = unpack_bytes('>I6I4', number)
end
local BILL, BILL_SIZE, bills, newest = '>I6I6Bd', 21, '', ''
if had[6] then
  local count = had[6]:byte() or 0
  newest = had[6]:sub(2 + BILL_SIZE * count)
  assert(count > 0 and #newest > 6, 'a foreign value')
  for from = 2, BILL_SIZE * count, BILL_SIZE do
    local _, expires, _, price = unpack_bytes(BILL, had[6], from)
    assert(price - price == 0, 'a foreign value')
    if expires > now then
      bills = bills .. had[6]:sub(from, from + BILL_SIZE - 1)
    end
  end
end
