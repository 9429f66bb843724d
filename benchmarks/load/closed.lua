-- Closed-loop load for wrk: one prepared request per key of KEYS_FILE, sent in turn.

local function read(path)
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  return text
end

local prepared, at = {}, 0

function init()
  local body = read(os.getenv("BODY_FILE"))
  for key in read(os.getenv("KEYS_FILE")):gmatch("[^\n]+") do
    prepared[#prepared + 1] = wrk.format("POST", "/v1/chat/completions", {
      ["Host"] = wrk.host .. ":" .. wrk.port,
      ["Authorization"] = "Bearer " .. key,
      ["Content-Type"] = "application/json",
      ["Accept"] = "*/*",
      ["User-Agent"] = "benchmark",
    }, body)
  end
end

function request()
  at = at % #prepared + 1
  return prepared[at]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\nRESULT {"requests": %d, "wall_us": %d, "failed": %d, "p50_us": %.1f, "p99_us": %.1f}\n',
    summary.requests, summary.duration,
    errors.status + errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
