-- The answer that describes a live challenge: 1, at, expires_in, resend_in, attempts_left,
-- sends_left (-1: no limit), and its kind: 0 ordinary, 1 concealed, 2 a decoy.

local wait, _, room = send_wait()
local number = kind == 'L' and 0 or kind == 'C' and 1 or 2
return string.format('1 %d %d %d %d %d %d', at, expires - now, wait, left, room, number)
