package audit_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"storagesrv/cmd/storagesrv/internal/audit"
)

// What a listener's first request costs, many of which come at once.
func BenchmarkANewListener(b *testing.B) {
	for _, required := range []bool{false, true} {
		b.Run(fmt.Sprintf("required %v", required), func(b *testing.B) {
			log := open(b, audit.Config{File: inDir(b), Quiet: time.Hour, Required: required})
			var n atomic.Int64
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					who := anna
					who.CallID = fmt.Sprint(n.Add(1))
					play(b, log, who, "RJJGQDCOSS7URFSASSJ2OMX3D4", 0, 1000)
				}
			})
		})
	}
}

// What each further range costs.
func BenchmarkARange(b *testing.B) {
	log := open(b, audit.Config{File: inDir(b), Quiet: time.Hour})
	b.ReportAllocs()
	for i := range b.N {
		play(b, log, anna, "RJJGQDCOSS7URFSASSJ2OMX3D4", int64(i%10)*100, 100)
	}
}
