-- Now, in whole milliseconds: the server's time, never a client's.

local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
