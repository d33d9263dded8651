-- What comes back to accounts, as core/fraud.py defines it; after fraud_accounts.

-- Give back to the accounts that paid. Amounts and what is earned are in messages; money is the
-- price times that.
local function give(group, world_paid, price, times, earned)
  country_earned = country_earned + price * earned
  local limit, credit, forgiven = country_terms(group)
  local balance = lapsed(country[group], limit, credit, forgiven, country_days, price)
  -- Of a message that is dearer than the limit, the debt may have been cut to the limit since.
  local back = balance < -limit and price or min(price, limit)
  keep_country(group, max(balance, min(credit, balance + back * times)))
  local place = group == 3 and 2 or 1
  if group ~= 4 then
    prefix_earned = prefix_earned + earned
    limit = prefix_limit()
    keep_prefix(place, min(limit, faded(prefix[place], limit, prefix_days) + times))
  end
  if world_paid or earned ~= 0 then
    world_earned = world_earned + price * earned
    limit = world_limit()
    balance = lapsed(world[place], limit, 0, limit, world_days)
    if world_paid then
      balance = min(0, balance + price * times)
    end
    keep_world(place, balance)
  end
end
