-- Changes a circuit, or says how it stands. A circuit is a field of its host's
-- hash, "until:for:overdue:successes:reporters:first:prober"; closed ones have none.
-- The field "#" says when somebody asked last.
-- Times are microseconds, by the server's clock alone.
--
-- KEYS: the circuits of a host.
-- ARGV: what, the circuit, and by what: see Store.
local key, what, id = KEYS[1], ARGV[1], ARGV[2]
local IDLE, BACK = 900000, 1000000
local FORGOTTEN, DAY = 600000000, 86400000000
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000000 + tonumber(t[2])
local function int(n) return string.format('%.0f', n) end

-- Something else has the key; or the clock was set back, or is another's after a
-- failover: what it measured would last for as long as it went back.
local asked = redis.pcall('HGET', key, '#')
if type(asked) == 'table' and asked.err or now + BACK < (tonumber(asked) or 0) then redis.call('DEL', key) end

local CLOSED, OPEN, HALF_OPEN = 0, 1, 2

-- What no process can have written, and what nobody has probed for long, is closed.
local function read(text)
  local till, lasts, overdue, successes, reporters, first, prober =
    string.match(text or '', '^(%d+):(%d+):(%d+):(%d+):([12]):([^:]*):(.*)$')
  if not till then return nil end
  local c = { till = tonumber(till), lasts = tonumber(lasts), overdue = tonumber(overdue),
    successes = tonumber(successes), reporters = tonumber(reporters), first = first, prober = prober }
  if c.lasts > DAY or c.till > now + c.lasts or c.overdue > now + DAY then return nil end
  if now >= c.till + FORGOTTEN and now >= c.overdue then return nil end
  return c
end

local function state(c)
  if not c then return CLOSED, 0 end
  if now < c.till then return OPEN, c.till - now end
  if c.prober ~= '' then return HALF_OPEN, math.max(c.overdue - now, 0) end
  return HALF_OPEN, 0
end

if what == 'list' then
  -- A server that takes no writes is of no use to the other questions: this one
  -- must not make it look well.
  redis.call('HSET', key, '#', int(now))
  if redis.call('PTTL', key) < IDLE then redis.call('PEXPIRE', key, IDLE) end
  local answer = {}
  local flat = redis.call('HGETALL', key)
  for i = 1, #flat, 2 do
    local c = read(flat[i + 1])
    if c then
      local s, wait = state(c)
      answer[#answer + 1] = { flat[i], s, wait, c.reporters }
    elseif flat[i] ~= '#' then
      redis.call('HDEL', key, flat[i])
    end
  end
  return answer
end

local c = read(redis.call('HGET', key, id))
local function write()
  redis.call('HSET', key, '#', int(now), id, int(c.till) .. ':' .. int(c.lasts) .. ':' .. int(c.overdue) ..
    ':' .. int(c.successes) .. ':' .. int(c.reporters) .. ':' .. c.first .. ':' .. c.prober)
  local ttl = IDLE + math.ceil(math.max(c.till - now, c.overdue - now, 0) / 1000)
  if redis.call('PTTL', key) < ttl then redis.call('PEXPIRE', key, int(ttl)) end
end

if what == 'probe' then
  local holder, ttl = ARGV[3], tonumber(ARGV[4])
  local s, wait = state(c)
  if s == HALF_OPEN and wait == 0 then
    c.prober, c.overdue = holder, now + ttl
    write()
    return { s, ttl, 1, c.reporters }
  end
  return { s, wait, 0, c and c.reporters or 0 }
end

local holder, openFor, needed, process = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local mine = c and c.prober ~= '' and c.prober == holder
if what == 'opened' then
  c = c or { till = 0, lasts = 0, overdue = 0, reporters = 1, first = process }
  if process ~= c.first then c.reporters = 2 end
  c.till, c.lasts, c.prober, c.successes = math.max(c.till, now + openFor), math.max(c.lasts, openFor), '', 0
  write()
elseif mine and what == 'succeeded' then
  c.prober, c.successes = '', c.successes + 1
  if c.successes >= needed then
    redis.call('HDEL', key, id)
    c = nil
  else
    write()
  end
elseif mine then
  c.prober = ''
  write()
end
local s, wait = state(c)
return { s, wait, 0, c and c.reporters or 0 }
