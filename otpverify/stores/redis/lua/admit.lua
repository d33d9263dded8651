-- Say whether `open` would refuse; change nothing.
--
-- KEYS   phone, challenge
-- ARGV   scope, policy, what would be opened (1; see open.lua)
-- Reply  "1", or what `open` answers where it refuses

-- include clock
-- include common
-- include wait
local mode = sub(arguments, added_at)
-- include admission
return '1'
