-- Count a message in the IP network's limits, the caps and the accounts, or refuse it.
--
-- KEYS   see fraud_ledger
-- ARGV   price, at_risk, cost in millionths (doubles), remember (6 bytes), what is known of the
--        request (5 bytes, 1 for true: known, human, forced, observed, the number is counted); of
--        each cap what the message takes, amount (doubles), window (6); the network's limits, or
--        nothing, as in reserve
-- Reply  "1 at event paid raised bill levels": event names what the network's limits counted (0:
--        nothing); who paid as in fraud_ledger; raised is 0 or 1; bill names it; levels has a digit
--        for each cap: 0, and 1, 2, 4 added for 50, 80 and 100% reached
--        "0 which wait": an account refuses, 0 prefix, 1 country, 2 world: the one that does so for
--        the longest time; milliseconds
--        "2 which wait": a limit of the network, 1 and up
--        "3 which wait": a cap, 1 and up; -1: it never fits

-- include fraud_ledger
-- include fraud_caps
-- include fraud_traffic
local nonce = KEYS[1]:sub(-6)
if newest:sub(1, 6) == nonce then
  return newest:sub(7)
end
local price, at_risk, cost, remember, known, human, forced, observed, counted =
  unpack_bytes('>dddI6BBBBB', ARGV[1])
local entered, earned = 0, 0
known, human, forced, observed, counted =
  known == 1, human == 1, forced == 1, observed == 1, counted == 1
local refusal -- the reply, if anything refuses
local prefix_after, country_after, world_after

local limits, network = 36 + 22 * (#KEYS - 8), had[7] or ''
local counts_network = limits <= #ARGV[1]
if counts_network and network ~= '' then
  assert(#network > 10 and #network % 6 == 4, 'a foreign value')
  local which, longest, window = 0, 0, unpack_bytes('>I6', network)
  for from = limits + 10, #ARGV[1], 10 do
    local most, period = unpack_bytes('>I4I6', ARGV[1], from)
    local place = #network - 6 * most + 1
    local at = place > 10 and unpack_bytes('>I6', network, place)
    if at and at > now - window and at + period - now > longest then
      which, longest = (from - limits) / 10, at + period - now
    end
  end
  if longest > 0 then
    refusal = '2 ' .. which .. ' ' .. longest
  end
end

local begins, sums, longest_cap, full, levels = {}, {}, 0, nil, ''
for place = 1, refusal and 0 or #KEYS - 8 do
  local takes, most, window = unpack_bytes('>ddI6', ARGV[1], 36 + 22 * (place - 1))
  local raw = had[7 + place] or ''
  local begin, sum = 9, 0
  if raw ~= '' then
    begin, sum = cap_live(raw, window)
  end
  local after = sum + takes
  if after > most then
    local wait, rest = takes > most and math.huge or 0, sum
    for from = begin, #raw, 14 do
      local part, amount = unpack_bytes('>I6d', raw, from)
      rest = rest - amount
      if rest + takes <= most then
        wait = max(wait, part_ends(part, window) - now)
        break
      end
    end
    if not full or wait > longest_cap then
      full, longest_cap = place, wait
    end
  end
  local level = 0
  if sum < 0.5 * most and 0.5 * most <= after then
    level = 1
  end
  if sum < 0.8 * most and 0.8 * most <= after then
    level = level + 2
  end
  if after + takes > most then -- no further message of that amount fits
    level = level + 4
  end
  begins[place], sums[place], levels = begin, sum, levels .. level
end
if full then
  refusal = '3 ' .. full .. ' ' .. (longest_cap == math.huge and -1 or longest_cap)
end

-- include fraud_accounts
known = known or counted and number and unanswered < 3
local place = human and 2 or 1
local owns = faded(prefix[place], prefix_limit, prefix_days)
local group = human and 3 or known and 4 or owns >= 1 and 2 or 1

local paid
if not refusal then
  local wider = group == 4 and 3 or 1
  local limit, forgiven = wider * country_limit, wider * country_forgiven
  local after =
    lapsed(country[group], limit, group == 1 and 0 or limit, forgiven, country_days, 0) - price
  -- A new prefix that owes something may use a share of a limit on money.
  local share = group == 1 and owns < 0 and 0.8 or 1
  local country_refuses = after < -max(limit * share, price)
  local world_pays, after_world = group ~= 4 and not forced and after < -0.1 * country_earned, 0
  if world_pays then
    after_world = lapsed(world[place], world_limit, 0, world_limit, world_days, 0) - price
  end
  local world_refuses = world_pays and after_world < -max(world_limit * share, price)
  local prefix_refuses = group ~= 4 and owns - 1 < -max(prefix_limit, 1)
  if not (country_refuses or world_refuses or prefix_refuses) then
    country_after = after
    if group ~= 4 then
      prefix_after = owns - 1
    end
    if world_pays then
      world_after = after_world
    end
    paid = group - 1 + (world_pays and 4 or 0)
  elseif forced then
    paid = 11 -- what an account had no room for must not come back to it
  else
    -- A refusal takes a message from a proven prefix, and marks one in which no code was entered.
    local left, mark = owns, country_refuses and 1 / 3 or 1
    if group == 2 then
      left = owns - 1
    elseif group == 1 and prefix_earned == 0 then
      left = min(owns, -mark)
    end
    -- The milliseconds until an account of money admits the message: for a new prefix when a share
    -- of its limit is free, or when the prefix owes nothing any more and the whole limit is.
    local function overdrawn(owed, most, forgiven_there)
      local whole = (-max(most, price) - owed) / forgiven_there
      if group ~= 1 then
        return ceil(whole * DAY)
      end
      local part = (-max(most * 0.8, price) - owed) / forgiven_there
      return ceil(min(part, max(max(0, -left) / prefix_limit, whole)) * DAY)
    end
    local reason, wait = 1, -1
    if country_refuses then
      wait = overdrawn(after, limit, forgiven)
    end
    if world_refuses then
      local wait_world = overdrawn(after_world, world_limit, world_limit)
      if wait_world > wait then
        reason, wait = 2, wait_world
      end
    end
    if prefix_refuses then
      local wait_prefix = ceil((-max(prefix_limit, 1) - (owns - 1)) / prefix_limit * DAY)
      if wait_prefix >= wait then
        reason, wait = 0, wait_prefix
      end
    elseif owns - left >= 1 / 30 then -- a write for each refused start would be too many
      prefix_after = left
    end
    if observed then
      paid = 8 + reason
    else
      refusal = '0 ' .. reason .. ' ' .. wait
    end
  end
end
local sent, verified, refused, would_refuse = 1, 0, 0, 0
if refusal then
  sent, refused, cost = 0, 1, 0
elseif paid >= 8 and paid < 11 then
  would_refuse = 1
end
-- include fraud_keep
if refusal then
  call('PSETEX', KEYS[1], '30000', refusal)
  return refusal
end

local raised = '0'
if counted and number then
  raised = '1'
  call('SET', KEYS[5], pack_bytes('>I6I4', known_until, unanswered + 1), 'KEEPTTL')
end
for nth, begin in ipairs(begins) do
  local takes, _, window = unpack_bytes('>ddI6', ARGV[1], 36 + 22 * (nth - 1))
  cap_put(KEYS[7 + nth], had[7 + nth] or '', window, begin, sums[nth], floor(now * 60 / window), takes)
end
local event = 0
if counts_network then
-- include fraud_network
end
local bill = now
if bills ~= '' then
  bill = max(now, unpack_bytes('>I6', bills, #bills - BILL_SIZE + 1) + 1)
end
bills = bills:sub(-7 * BILL_SIZE) .. pack_bytes(BILL, bill, now + remember, paid, price)
-- To write a number as text takes as long as a command; mostly these are the same.
local at = now .. ''
event, bill = event == now and at or event, bill == now and at or bill
local reply = '1 ' .. at .. ' ' .. event .. ' ' .. paid .. ' ' .. raised .. ' ' .. bill .. ' ' .. levels
newest = nonce .. reply
-- include fraud_keep_bills
return reply
