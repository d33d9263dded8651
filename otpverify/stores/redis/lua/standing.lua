-- The answer that describes a live challenge: 1, at, expires_in, resend_in, attempts_left,
-- sends_left (-1: no limit), decoy.

local wait, _, room = send_wait()
return string.format(kind == 'D' and '1 %d %d %d %d %d 1' or '1 %d %d %d %d %d 0',
  at, expires - now, wait, left, room)
