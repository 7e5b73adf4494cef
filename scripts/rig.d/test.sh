# shellcheck shell=bash disable=SC2154
# Sourced by scripts/rig. run_tests tries what is running: storagesrv at $url,
# its private listener at $admin. Uses work, note, fail, await, container.

mounted=$work/recordings/2026/11/mounted.wav
archived=$work/archive/2026/10/archived.wav
head=$work/head body=$work/body # of the last answer

# outage_seconds bounds an answer while a part is down: twice the SFTP timeout
# of storagesrv.yaml, or a look-up's 5 s, and some more for a busy machine; by
# default it would be twice 10 s.
outage_seconds=15

run_tests() {
	check_container
	check_playback mounted "$mounted"
	check_playback archived "$archived"
	check_refusals
	check_sftp_outage stop start
	check_sftp_outage pause unpause
	check_recorder_outage
	check_secrets
	check_end
}

# ask STATUS PATH [CURL-OPTION...] gets an answer and checks its status; a
# STATUS such as 503|504 allows several.
ask() {
	local expected=$1 path=$2 status
	shift 2
	: >"$head"
	: >"$body"
	status=$(curl --silent --show-error --noproxy '*' --max-time "${within-30}" --dump-header "$head" --output "$body" \
		--write-out '%{http_code}' "$@" "$url$path") || fail "GET $path $*: no answer (status $status)"
	[[ $status =~ ^($expected)$ ]] || fail "GET $path $*: status $status instead of $expected" "$body"
}

# field NAME prints a header field of the last answer.
field() { tr -d '\r' <"$head" | sed -n "s/^$1: //Ip"; }

# same WHAT GOT WANT compares.
same() { [ "$2" = "$3" ] || fail "$1 is '$2' instead of '$3'"; }

# bytes FILE FIRST LAST prints a part of a file.
bytes() { tail -c "+$(($2 + 1))" "$1" | head -c $(($3 - $2 + 1)); }

# plays CALL FILE is the whole recording, byte for byte.
plays() {
	ask 200 "/recordings/$1"
	cmp "$2" "$body" || fail "/recordings/$1 is not the bytes of $2"
}

# refused CALL STATUS NAME is a problem document, which tells nothing of the storage.
refused() {
	ask "$2" "/recordings/$1"
	same "the type of /recordings/$1" "$(field content-type)" application/problem+json
	grep -Eq "\"type\":\"urn:storagesrv:problem:($3)\"" "$body" || fail "/recordings/$1 is not refused as $3" "$body"
	! grep -Eq '/var|/mnt|archive/|\.wav' "$body" || fail "/recordings/$1 tells a path" "$body"
}

check_container() {
	note "storagesrv is healthy; confined: not root, no capabilities, read-only, on 127.0.0.1 alone"
	local id status published
	id=$(container storagesrv)
	status=/proc/$(docker inspect --format '{{.State.Pid}}' "$id")/status
	same "its user" "$(awk '/^Uid:/ { print $2, $3, $4, $5 }' "$status")" "65532 65532 65532 65532"
	same "its groups" "$(awk '/^(Gid|Groups):/ { printf "%s ", $2 }' "$status")" "65532 65532 "
	same "its capabilities" "$(awk '/^Cap(Eff|Prm|Bnd|Inh|Amb):/ { printf "%s ", $2 + 0 }' "$status")" "0 0 0 0 0 "
	same "no new privileges" "$(awk '/^NoNewPrivs:/ { print $2 }' "$status")" 1
	same "a read-only root" "$(docker inspect --format '{{.HostConfig.ReadonlyRootfs}}' "$id")" true
	same "writable mounts" "$(docker inspect --format '{{range .Mounts}}{{if .RW}}{{.Destination}} {{end}}{{end}}' "$id")" ""
	published=$(docker ps --filter "label=com.docker.compose.project=$project" --format '{{.Ports}}' | grep -Eo '[^ ,]+->' | sort)
	same "what is published" "$(echo "$published" | grep -v '^127\.0\.0\.1:' || true)" ""
	grep -q -- '->' <<<"$published" || fail "nothing is published"
}

# check_playback CALL FILE is what web apps do with a recording.
check_playback() {
	local call=$1 file=$2 path=/recordings/$1 size etag fact
	note "$call: whole, HEAD, ranges, conditional, resumed, info"
	size=$(stat --format %s "$file")

	await 60 "/recordings/$call to play" plays "$call" "$file"
	plays "$call" "$file"
	etag=$(field etag)
	[[ $etag =~ ^\"[^\"]+\"$ ]] || fail "$path has no strong ETag but '$etag'"
	same "Content-Type" "$(field content-type)" audio/wav
	same "nosniff" "$(field x-content-type-options)" nosniff

	ask 200 "$path" --head
	same "HEAD: Content-Length" "$(field content-length)" "$size"
	same "HEAD: Accept-Ranges" "$(field accept-ranges)" bytes
	same "HEAD: ETag" "$(field etag)" "$etag"
	[ -n "$(field last-modified)" ] || fail "HEAD: no Last-Modified"

	range "$call" "$file" 0-1 0 1
	range "$call" "$file" 300001-1700000 300001 1700000
	range "$call" "$file" -1000 $((size - 1000)) $((size - 1))
	range "$call" "$file" $((size - 70000))- $((size - 70000)) $((size - 1))
	ask 416 "$path" --range "$size-"
	same "416: Content-Range" "$(field content-range)" "bytes */$size"

	ask 304 "$path" --header "If-None-Match: $etag"
	same "304: the size of the body" "$(stat --format %s "$body")" 0
	ask 412 "$path" --header 'If-Match: "another"'
	ask 200 "$path" --header 'If-Range: "another"' --range 0-1
	cmp "$file" "$body" || fail "$path with another If-Range is not whole"

	head -c 500000 "$file" >"$work/part"
	curl --silent --show-error --noproxy '*' --max-time 30 --continue-at - --output "$work/part" "$url$path" || fail "$path cannot be resumed"
	cmp "$file" "$work/part" || fail "$path resumed is not the bytes of $file"

	ask 206 "$path?download=1" --range 0-9
	grep -Eq '^attachment; filename="?'"$call"'\.wav' <<<"$(field content-disposition)" || fail "Content-Disposition is $(field content-disposition)"
	ask 200 "$path/info"
	for fact in '"playable":true' "\"size\":$size" '"sample_rate":8000'; do
		grep -Fq "$fact" "$body" || fail "$path/info lacks $fact" "$body"
	done
	! grep -q /var/ "$body" || fail "$path/info tells a path" "$body"
}

# range CALL FILE RANGE FIRST LAST asks for a range and compares the bytes.
range() {
	ask 206 "/recordings/$1" --range "$3"
	same "Content-Range" "$(field content-range)" "bytes $4-$5/$(stat --format %s "$2")"
	cmp <(bytes "$2" "$4" "$5") "$body" || fail "bytes $3 of $1 are not the file's"
}

check_refusals() {
	note "refused: ciphertext, hostile paths, what is missing"
	refused encrypted-mounted 422 encrypted
	refused encrypted-archived 422 encrypted
	refused raw-ciphertext 422 unrecognized
	refused hostile-dots 502 unmapped-path
	refused hostile-dots-archived 502 unmapped-path
	refused hostile-elsewhere 502 unmapped-path
	refused hostile-link-mounted 502 unmapped-path
	refused hostile-link-archived 502 unmapped-path
	refused hostile-directory 502 unmapped-path
	refused missing-mounted 404 recording-missing
	refused missing-archived 404 recording-missing
	refused nobody 404 call-not-found
	refused 'a%2Fb' 400 bad-call-id
}

# check_sftp_outage DOWN UP takes the SFTP server away, by two commands of Docker's.
check_sftp_outage() {
	local id within=30
	note "sftp: the mounted recordings go on, the archived ones are refused in time"
	id=$(container sftp)
	plays archived "$archived"
	logged "sftp: docker $1" 60 docker "$1" "$id"
	within=$outage_seconds
	refused archived '503|504' 'storage-unavailable|storage-timeout'
	plays mounted "$mounted"
	await 60 "/readyz to say that the store is down" store_is false
	# A request that comes after the pause between two dials waits for the next
	# one, and makes the pause longer.
	await 60 "archived recordings to be refused at once" refused_at_once archived
	plays mounted "$mounted"
	range mounted "$mounted" 0-99 0 99
	healthy >"$body" || fail "storagesrv is not healthy without the SFTP server" "$body"
	logged "sftp: docker $2" 60 docker "$2" "$id"
	within=30
	await 60 "archived recordings to play again" plays archived "$archived"
	await 60 "/readyz to say that the store is up" store_is true
}

# refused_at_once CALL is refused, because its store is known to be down, before
# the time-out of storagesrv.yaml.
refused_at_once() {
	local within=2
	refused "$1" 503 storage-unavailable
	[ -n "$(field retry-after)" ] || fail "503 without Retry-After"
}

# store_is true|false: what /readyz says of the SFTP store. It is ready in both cases.
store_is() {
	local ready
	ready=$(curl --silent --show-error --fail --noproxy '*' --max-time 5 "$admin/readyz")
	echo "$ready"
	grep -Fq "{\"store\":\"/var/archive sftp\",\"up\":$1" <<<"$ready"
}

check_recorder_outage() {
	local id within=$outage_seconds
	note "recorder: known calls go on, others are refused in time"
	id=$(container recorder)
	logged "recorder: docker stop" 60 docker stop --time=3 "$id"
	plays mounted "$mounted"
	plays archived "$archived"
	refused unheard '503|504' 'metadata-unavailable|metadata-timeout'
	logged "recorder: docker start" 60 docker start "$id"
	within=30
	await 60 "the call nobody heard of to play" plays unheard "$mounted"
}

check_secrets() {
	local id secret
	note "no secret in the log or in the container's description"
	id=$(container storagesrv)
	{ docker logs "$id"; docker inspect "$id"; } >"$work/said" 2>&1
	for secret in "$(cat "$work/secrets/recorder_password")" "$(sed -n 2p "$work/secrets/playback_key")"; do
		! grep -Fq "$secret" "$work/said" || fail "a secret is in the log, or in docker inspect"
	done
}

check_end() {
	local id code
	note "SIGTERM: exit 0"
	id=$(container storagesrv)
	docker kill --signal TERM "$id" >"$work/log"
	code=$(timeout 40 docker wait "$id") || fail "storagesrv does not end 40 s after SIGTERM"
	same "the exit code" "$code" 0
}
