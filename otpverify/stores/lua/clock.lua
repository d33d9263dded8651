-- Now, in whole milliseconds: the server's time, never a client's.

local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
