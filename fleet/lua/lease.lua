-- Takes what a process knows of a bucket and hands out places of its window.
-- The rules are those of internal/sharedtest, where they stand in Go.
-- Times are microseconds, by the server's clock alone.
--
-- KEYS: the window, its holders. Both have one hash tag.
-- ARGV: see Store.Lease.
local window, holders = KEYS[1], KEYS[2]
local holder, name = ARGV[1], ARGV[2]
local function arg(i) return tonumber(ARGV[i]) end
local seen = { id = arg(3), limit = arg(4), remaining = arg(5), ends = arg(6) }
local late, unbound, told, refused = arg(7) == 1, arg(8) == 1, arg(9), arg(10)
local back, returned, taken, unused, inflight = arg(11), arg(12), arg(13), arg(14), arg(15)
local interactive, background, ahead, utilization, age = arg(16), arg(17), arg(18), arg(19), arg(20)

local LASTS, GRACE, PATIENCE = 2000000, 1000000, 1000000
local UNBOUND, LONGEST, IDLE = 60000000, 61000000, 900000
local BACK = 1000000
local FIRST_FEW, ASTRAY = 3, 3
local min, max = math.min, math.max
local own = utilization

local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000000 + tonumber(t[2])

-- A number that can have been written here: nonsense in Redis counts as nothing.
local function sane(n, most) return n ~= nil and n == n and n >= -most and n <= most end
-- A hash, or nothing where something else has its key.
local function hash(key)
  local flat = redis.pcall('HGETALL', key)
  if not flat.err then return flat end
  redis.call('DEL', key)
  return {}
end

-- What is known of the window.
local w = { id = 0, limit = 0, remaining = 0, left = 0, ends = 0, late = 0, held = 0, unbound = 0,
  stray = 0, scouts = 0, scouted = 0, overdue = 0, tried = 0, at = 0 }
local flat = hash(window)
local nonsense = false
local AHEAD = { ends = LONGEST, held = LONGEST, unbound = UNBOUND, scouted = 0, overdue = PATIENCE, tried = PATIENCE, at = 0 }
for i = 1, #flat, 2 do
  local field = flat[i]
  if w[field] then
    local n = tonumber(flat[i + 1])
    if not sane(n, AHEAD[field] and now + AHEAD[field] + BACK or 1e15) then nonsense = true end
    w[field] = n or 0
  end
end
-- Or the clock was set back, or is another's after a failover: what it measured
-- would last for as long as it went back. All is learned anew.
if nonsense then
  redis.call('DEL', window, holders)
  for k in pairs(w) do w[k] = 0 end
end
w.at = now
w.left, w.remaining = min(w.left, w.limit), min(w.remaining, w.limit)

-- Who has places, and who waits: out:interactive:dry:till:spent:share.
local others = { out = 0, interactive = 0, n = 0 }
local me = { out = 0, dry = 0 }
local list = {}
-- Takes the places that were spent at a time off their holders: whatever became
-- of them, a header of a later call counts it, or another window does not. Until
-- then they count as used. Who was not heard of for too long is forgotten.
local function account(at)
  for name, h in pairs(list) do
    if at >= h.spent then
      others.out = others.out - h.out
      h.out = 0
    end
    if h.out == 0 and now >= h.till then
      redis.call('HDEL', holders, name)
      list[name] = nil
    end
  end
end
flat = hash(holders)
for i = 1, #flat, 2 do
  local out, inter, dry, till, spent, part = string.match(flat[i + 1], '^(%-?%d+):(%d+):(%d+):(%d+):(%d+):([%d.e-]+)$')
  if not sane(tonumber(part), 1) or not sane(tonumber(till), now + LONGEST + LASTS + GRACE + BACK) or
    not sane(tonumber(spent), now + LONGEST + LASTS + GRACE + BACK) or not sane(tonumber(out), 1e9) or not sane(tonumber(inter), 1e9) then
    redis.call('HDEL', holders, flat[i])
  elseif flat[i] == holder then
    me.out, me.dry = tonumber(out), tonumber(dry)
  else
    list[flat[i]] = { till = tonumber(till), spent = tonumber(spent), out = tonumber(out) }
    others.out = others.out + tonumber(out)
    if now < tonumber(till) then
      others.n = others.n + 1
      others.interactive = others.interactive + tonumber(inter)
      utilization = min(utilization, tonumber(part)) -- the fleet keeps to the lowest
    end
  end
end

-- When the window is over.
local function over() return w.late == 1 and w.ends + 1000000 or w.ends end
-- How many places are left to those who are no part of the fleet.
local function reserve() return w.limit - max(math.floor(w.limit * utilization + 1e-9), 1) end

if now >= over() then account(now) end
if told == w.id and now < over() then
  w.left = w.left + min(max(returned, 0), me.out)
end
me.out = unused + inflight
w.scouts = max(w.scouts - back, 0)
if w.scouts == 0 then w.overdue = now end

-- What the holder's headers said.
if late then w.late = 1 end
if refused > 0 then w.held = max(w.held, now + min(refused, LONGEST)) end
if unbound then w.unbound = now + UNBOUND end
if seen.id > 0 and seen.limit > 0 and seen.remaining >= 0 then
  w.unbound = now
  local ends = now + min(seen.ends, LONGEST) -- a scout finds out whether it lasts longer
  local newer = w.id == 0 or seen.id > w.id + 1
  if seen.id < w.id - 1 and told == w.id and now < w.ends then
    -- It was told of the present window and finds that another runs.
    w.stray = w.stray + 1
    newer = w.stray >= ASTRAY
  end
  -- What is told of a window that runs goes before what is known of one that is over.
  if seen.id < w.id - 1 and now >= over() and seen.ends > 0 then newer = true end
  local current = true
  if newer then
    account(now)
    w.id, w.limit, w.remaining, w.ends = seen.id, seen.limit, seen.remaining, ends
    w.stray, w.scouts, w.overdue = 0, 0, now
    w.left = min(seen.limit, seen.remaining - others.out - me.out)
  elseif seen.id < w.id - 1 then
    current = false
  else
    w.stray, w.limit = 0, seen.limit
    w.remaining = min(w.remaining, seen.remaining)
    w.left = w.left - taken
    if w.left > seen.remaining - unused then
      -- Somebody who is no part of the fleet took places, and may go on.
      w.left = w.remaining - others.out - me.out
    end
    -- Who knows Okta's clock best says the earliest end. That the window goes on
    -- longer only a scout can tell, who met it after that.
    if now < w.ends and ends < w.ends or now >= w.ends and back > 0 then w.ends = ends end
  end
  -- What all that are out may use is used at most: the rest is free.
  if current then
    account(now - max(age, 0))
    w.left = max(w.left, w.remaining - others.out - me.out)
  end
end

-- The answer.
local wants = interactive + background + ahead
local places, lasts, retry, isUnbound, isHeld = 0, 0, 0, 0, 0
local told_id, ends_in = 0, 0
local known = w.id ~= 0 and now < over()
if known then told_id, ends_in = w.id, over() - now end

if now < w.held then
  isHeld, retry = 1, w.held - now
elseif now < w.unbound then
  isUnbound, places, lasts = 1, wants, LASTS
elseif not known then
  -- Few calls find out what the window is like: one where the last was used up.
  local few = FIRST_FEW
  if w.id ~= 0 then
    few = max(few, math.floor(w.limit / 10))
    if w.left - reserve() <= math.floor(w.limit / 4) then few = 1 end
  end
  if now >= w.overdue then w.scouts, w.scouted = 0, now end
  places, lasts = max(min(wants, few - w.scouts), 0), PATIENCE
  if places > 0 then
    w.scouts, w.overdue = w.scouts + places, now + PATIENCE
  else
    retry = min(max(math.floor((now - w.scouted) / 2), 15000), 250000, max(w.overdue - now, 1000))
  end
else
  lasts = min(LASTS, ends_in)
  local free = w.left - reserve()
  if free > 0 then
    -- To each its part of what is left, to calls that wait before those that may
    -- come, and to background calls only what interactive calls of others don't
    -- wait for. The last places are not worth many questions.
    local n = others.n + 1
    local share = math.floor((free + n - 1) / n)
    local least = min(max(share, math.floor(w.limit / 64)), free)
    local a = min(interactive, least)
    local b = min(background, least - a, max(free - a - others.interactive, 0))
    local c = share - a - b
    if background > 0 then c = min(c, free - a - others.interactive - b) end
    c = max(c, 0)
    if free < math.floor(w.limit / 4) then c = min(c, inflight) end -- let nobody hold what it may not need
    places = a + b + min(c, ahead)
    w.left = w.left - places
  end
  if places == 0 then
    retry = ends_in
    if others.out > 0 and w.remaining > reserve() then -- others may give some back
      retry = min(retry, 100000 * 2 ^ min(me.dry, 2))
      me.dry = me.dry + 1
      -- Where the time of others is over and they returned nothing, the header of a
      -- call that is sent now says what they used.
      local lapsed = 0
      for _, h in pairs(list) do
        if h.out ~= 0 then
          if now >= h.spent then lapsed = lapsed + h.out else retry = min(retry, max(h.spent - now, 1000)) end
        end
      end
      if lapsed > 0 and inflight == 0 and interactive + background > 0 then
        if now < w.tried then
          retry = min(retry, max(w.tried - now, 1000))
        else
          w.tried, w.left = now + PATIENCE, w.left - 1
          places, lasts, retry = 1, min(PATIENCE, ends_in), 0
        end
      end
    end
  end
end

me.out = me.out + places
local till, spent
if places > 0 then
  till, me.dry = now + lasts + GRACE, 0
  spent = till
else
  till = now + min(retry, LONGEST) + LASTS + GRACE
  spent = now + LASTS + GRACE -- it may have some yet
end
local wanted = w.left - reserve() < math.floor(w.limit / 4) and 1 or 0

local function int(n) return string.format('%.0f', n) end
redis.call('HSET', holders, holder, int(me.out) .. ':' ..
  int(max(interactive - places, 0)) .. ':' .. int(me.dry) .. ':' .. int(till) .. ':' .. int(spent) .. ':' .. string.format('%.17g', own))
local fields = { 'name', name }
for k, v in pairs(w) do
  fields[#fields + 1] = k
  fields[#fields + 1] = int(v)
end
redis.call('HSET', window, unpack(fields))
local ttl = IDLE + math.ceil(max(over() - now, w.held - now, 0) / 1000)
redis.call('PEXPIRE', window, int(ttl))
redis.call('PEXPIRE', holders, int(ttl))

return { places, math.floor(lasts), math.ceil(retry), told_id, w.limit, min(w.remaining, w.limit),
  math.ceil(ends_in), isUnbound, isHeld, others.n + 1, wanted }
