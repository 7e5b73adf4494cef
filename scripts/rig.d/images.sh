# shellcheck shell=bash disable=SC2154
# Sourced by scripts/rig. need_images brings the base images here: pulled, or
# made on this machine where there is no registry. Images that are here already
# are left alone. Uses root, work, note, fail, bounded and logged of scripts/rig.

export base=debian:bookworm-slim golang=golang:1.26-bookworm
export suite=bookworm bundle=/etc/ssl/certs/ca-certificates.crt
made=() # images that this run has made

need_images() {
	local image
	for image in "$base" "$golang"; do
		docker image inspect "$image" >"$work/pull.log" 2>&1 && continue
		note "pulling $image"
		# Without a registry this fails in 15 s at most.
		if ! bounded 180 docker pull --quiet "$image" >"$work/pull.log" 2>&1; then
			note "that failed, so what is missing is made here: $(tail -n 1 "$work/pull.log")"
			make_images
			return
		fi
	done
}

# make_images makes those that are not here. The compiler works while
# debootstrap waits for the network.
make_images() {
	local tree=$work/base compiling=''
	[ "$EUID" = 0 ] || fail "making base images takes root; or pull $base and $golang yourself"
	mkdir "$tree"
	if ! docker image inspect "$golang" >"$work/pull.log" 2>&1; then
		case $(go env GOVERSION || true) in
		go1.26 | go1.26[.a-z]*) ;;
		*) fail "making $golang takes Go 1.26 on this machine" ;;
		esac
		bounded 400 stage_golang >"$work/golang.log" 2>&1 &
		compiling=$!
	fi
	if docker image inspect "$base" >"$work/pull.log" 2>&1; then
		logged "unpacking $base" 200 unpack "$tree"
	else
		command -v debootstrap >"$work/pull.log" || fail "debootstrap is not installed"
		logged "making $base: debootstrap" 400 bootstrap "$tree"
		logged "making $base: importing" 200 import "$base" "$tree"
		made+=("$base")
	fi
	if [ -n "$compiling" ]; then
		note "making $golang: Go, modules and a warm build cache"
		wait "$compiling" || fail "making $golang: failed, or not done in 400 s" "$work/golang.log"
		cp -al "$work/golang/." "$tree"
		mkdir -p "$tree${bundle%/*}"
		cp "$bundle" "$tree$bundle"
		logged "making $golang: importing" 200 import "$golang" "$tree"
		made+=("$golang")
	fi
	rm -rf --one-file-system "$tree" "$work/golang"
}

# import NAME DIR makes an image of what is in the directory.
import() {
	tar -C "$2" --exclude='./proc/*' --exclude='./sys/*' --exclude='./dev/*' -c . |
		docker import --change 'LABEL storagesrv.rig=base' --change 'CMD ["bash"]' --change 'ENV GOTOOLCHAIN=local GOPATH=/go' \
			--change 'ENV PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' - "$1"
}

# unpack DIR is the reverse for the base.
unpack() {
	local id
	id=$(docker create "$base" true)
	docker export "$id" | tar -x -C "$1"
	docker rm "$id"
}

# bootstrap is debootstrap in two steps, so that dpkg can be told between them
# not to flush each file to the disk, and, as in Debian's own image, to leave
# out what nobody reads there.
bootstrap() {
	local tree=$1 conf mirror
	mirror=$(archives | awk -v suite="$suite" '$2 == suite { print $1; exit }')
	debootstrap --foreign --variant=minbase "$suite" "$tree" "$mirror"
	printf '%s\n' force-unsafe-io path-exclude={/usr/share/{doc,info,locale,man}/*,/usr/share/lintian/*} \
		>"$tree/etc/dpkg/dpkg.cfg.d/storagesrv-rig"
	chroot "$tree" /debootstrap/debootstrap --second-stage
	rm -rf "$tree"/var/cache/apt/archives/*.deb "$tree"/usr/share/{doc,info,locale,man}/*

	# The way to the archives is this machine's.
	archives | sed 's/^/deb /' >"$tree/etc/apt/sources.list"
	for conf in /etc/apt/apt.conf /etc/apt/apt.conf.d/*proxy* /etc/apt/apt.conf.d/99*; do
		[ ! -f "$conf" ] || cp "$conf" "$tree/etc/apt/apt.conf.d/"
	done
	if [ -f "$bundle" ]; then
		mkdir -p "$tree${bundle%/*}"
		cp "$bundle" "$tree$bundle"
	fi
}

# archives prints "URI RELEASE COMPONENT" of this machine's Debian archives, or
# of Debian's own if it has none of the right release.
archives() {
	local found
	# shellcheck disable=SC2016 # apt expands these
	found=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
		awk -v s="$suite" '$3 == "main" && ($2 == s || $2 == s "-updates" || $2 == s "-security")' | sort -u)
	case $found in
	*" $suite main"*) echo "$found" ;;
	*)
		echo "http://deb.debian.org/debian $suite main"
		echo "http://deb.debian.org/debian $suite-updates main"
		echo "http://deb.debian.org/debian-security $suite-security main"
		;;
	esac
}

# stage_golang lays out what the Go image has over its base: of Go what builds
# need (the engine looks at every file at every step), with the modules and a
# warm build cache, so that builds are quick and need no network.
stage_golang() {
	local stage=$work/golang cached proxies
	mkdir -p "$stage/usr/local/go"
	tar -C "$(go env GOROOT)" -c --exclude=testdata --exclude='*_test.go' --exclude=./{api,doc,misc,test,src/cmd} . |
		tar -C "$stage/usr/local/go" -x
	cached=$(go env GOMODCACHE)/cache/download proxies=$(go env GOPROXY)
	GOPROXY=file://$cached,$proxies GOMODCACHE=$stage/go/pkg/mod GOCACHE=$stage/root/.cache/go-build \
		CGO_ENABLED=0 GOFLAGS=-modcacherw go build -trimpath -buildvcs=false -o "$stage/warm/" ./cmd/storagesrv ./scripts/fakerecorder
	rm -r "$stage/warm"
}
