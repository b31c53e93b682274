-- Changes a circuit, or says how it stands. A circuit is a field of its host's
-- hash, "until:overdue:successes:prober"; closed ones have none. The field "#" says
-- when somebody asked last.
-- Times are microseconds, by the server's clock alone.
--
-- KEYS: the circuits of a host.
-- ARGV: what, the circuit, and by what: see Store.
local key, what, id = KEYS[1], ARGV[1], ARGV[2]
local IDLE, BACK = 900000, 1000000
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000000 + tonumber(t[2])
local function int(n) return string.format('%.0f', n) end

-- The clock was set back, or is another's after a failover: what it measured
-- would last for as long as it went back.
if now + BACK < (tonumber(redis.call('HGET', key, '#')) or 0) then redis.call('DEL', key) end

local CLOSED, OPEN, HALF_OPEN = 0, 1, 2

local function read(text)
  local till, overdue, successes, prober = string.match(text or '', '^(%d+):(%d+):(%d+):(.*)$')
  if not till then return nil end
  return { till = tonumber(till), overdue = tonumber(overdue), successes = tonumber(successes), prober = prober }
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
      answer[#answer + 1] = { flat[i], s, wait }
    end
  end
  return answer
end

local c = read(redis.call('HGET', key, id))
local function write()
  redis.call('HSET', key, '#', int(now), id, int(c.till) .. ':' .. int(c.overdue) .. ':' .. int(c.successes) .. ':' .. c.prober)
  local ttl = IDLE + math.ceil(math.max(c.till - now, c.overdue - now, 0) / 1000)
  if redis.call('PTTL', key) < ttl then redis.call('PEXPIRE', key, int(ttl)) end
end

if what == 'probe' then
  local holder, ttl = ARGV[3], tonumber(ARGV[4])
  local s, wait = state(c)
  if s == HALF_OPEN and wait == 0 then
    c.prober, c.overdue = holder, now + ttl
    write()
    return { s, ttl, 1 }
  end
  return { s, wait, 0 }
end

local holder, openFor, needed = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local mine = c and c.prober ~= '' and c.prober == holder
if what == 'opened' then
  c = c or { till = 0, overdue = 0 }
  c.till, c.prober, c.successes = math.max(c.till, now + openFor), '', 0
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
return { s, wait, 0 }
