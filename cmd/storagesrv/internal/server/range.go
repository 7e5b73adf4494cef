package server

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"storagesrv/storage"
)

// withPlainRange returns r with its Range header as http.ServeContent should
// see it. It is left out if r is no GET or its unit is none that we know (RFC
// 9110, section 14.2), or if it has more than 16 ranges, of which each costs a
// seek and a hostile one asks for the same bytes again and again. A suffix of no
// bytes, which ServeContent answers with a range that ends before it begins,
// becomes what cannot be satisfied (section 14.1.2).
func withPlainRange(r *http.Request, size int64) *http.Request {
	given := strings.Join(r.Header["Range"], ",")
	if given == "" {
		return r
	}
	ranges, known := strings.CutPrefix(given, "bytes=")
	specs := strings.Split(ranges, ",")
	changed := false
	for i, spec := range specs {
		if zeros, suffix := strings.CutPrefix(strings.TrimSpace(spec), "-"); suffix && zeros != "" && strings.Trim(zeros, "0") == "" {
			specs[i], changed = fmt.Sprintf("%d-", size), true
		}
	}
	switch {
	case r.Method != http.MethodGet || !known || len(specs) > 16:
		r = r.Clone(r.Context())
		r.Header.Del("Range")
	case changed:
		r = r.Clone(r.Context())
		r.Header.Set("Range", "bytes="+strings.Join(specs, ","))
	}
	return r
}

// firstRange is the first range that r asks for, as far as it can be told before
// the size is known: a hint, which nothing depends on.
func firstRange(r *http.Request) storage.Hint {
	ranges, _ := strings.CutPrefix(r.Header.Get("Range"), "bytes=")
	spec, _, _ := strings.Cut(ranges, ",")
	first, last, _ := strings.Cut(strings.TrimSpace(spec), "-")
	start, err := strconv.ParseInt(first, 10, 64)
	if err != nil || start < 0 || r.Method == http.MethodHead {
		return storage.Hint{}
	}
	end, err := strconv.ParseInt(last, 10, 64)
	if err != nil || end < start {
		end = start + 64<<10
	}
	return storage.Hint{Offset: start, Length: end - start + 1}
}
