-- Add what an operation counts to the tally of the country's hour, as core/traffic.py defines it;
-- after fraud_traffic. It says before what is `sent`, `verified`, `refused` and `would_refuse`, and
-- the `cost`.

local TRAFFIC_LIFETIME = '1382400000' -- 16 days
if past then -- once an hour: old hours become days, and old days are dropped
  local first, kept = hour - 14 * 24, {}
  first = first - first % 24
  for from = 1, #past, TRAFFIC_SIZE do
    local record, last = { unpack_bytes(TRAFFIC, past, from) }, kept[#kept]
    if record[1] < hour - 48 then
      record[1] = record[1] - record[1] % 24
    end
    if last and last[1] == record[1] then
      for nth = 2, 6 do
        last[nth] = last[nth] + record[nth]
      end
    elseif record[1] >= first then
      kept[#kept + 1] = record
    end
  end
  for nth, record in ipairs(kept) do
    kept[nth] = pack_bytes(TRAFFIC, unpack(record, 1, 6))
  end
  call('PSETEX', KEYS[#KEYS], TRAFFIC_LIFETIME, table.concat(kept))
end
call('PSETEX', KEYS[7], TRAFFIC_LIFETIME,
  pack_bytes(TRAFFIC, had_hour, had_sent + sent, had_verified + verified, had_refused + refused,
    had_would_refuse + would_refuse, had_cost + cost))
