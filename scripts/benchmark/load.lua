-- Sends the requests of a file, a line each: path, first and last byte, or only
-- the path. Every thread begins elsewhere, and goes round.
local requests, at = {}, 0
local threads = 0

function setup(thread)
	thread:set("share", threads)
	threads = threads + 1
end

function init(args)
	for line in io.lines(args[1]) do
		local path, from, to = line:match("^(%S+) (%d+) (%d+)$")
		if path then
			requests[#requests + 1] = wrk.format("GET", path, { Range = "bytes=" .. from .. "-" .. to })
		else
			requests[#requests + 1] = wrk.format("GET", line)
		end
	end
	at = math.floor(share * #requests / tonumber(args[2]))
end

function request()
	at = at % #requests + 1
	return requests[at]
end

function done(summary, latency)
	local e = summary.errors
	print(string.format("RESULT %d %d %d %d %d %d",
		summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99),
		e.connect + e.read + e.write + e.status + e.timeout))
end
