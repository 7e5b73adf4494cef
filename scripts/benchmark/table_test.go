package main

import (
	"strings"
	"testing"
)

func TestTableShowsEveryState(t *testing.T) {
	figures := []*figure{
		{Name: "fast", Unit: "MB/s", Against: sftp, Goal: atLeastTimes(1.5), Samples: map[string][]float64{
			ours: {200, 300, 250}, sftp: {100, 100, 100}, rclone: {missing, 33.333, 44.444}, sshfs: {missing, missing, missing},
		}},
		{Name: "lean", Unit: "KiB", Against: rclone, Goal: atMost(64), Samples: map[string][]float64{ours: {65}, rclone: {6.5}}},
		{Name: "alone", Unit: "ms", Goal: atMost(500), Samples: map[string][]float64{ours: {500}}},
		{Name: "other", Unit: "ms", Against: rclone, Goal: atMostTimes(0.5), Samples: map[string][]float64{rclone: {1}}},
		{Name: "no goal", Unit: "ms", Samples: map[string][]float64{ours: {0}}},
	}
	const want = `| measure | unit | goal | storagesrv | sftp | rclone | sshfs+nginx | ratio | met |
| --- | --- | --- | --: | --: | --: | --: | --: | --- |
| fast | MB/s | ≥ 1.5 × sftp | 250 (200–300) | 100 (100–100) | 38.9 (33.3–44.4), 1 of 3 failed | failed | 2.50 (2.00–3.00) × sftp | yes |
| lean | KiB | ≤ 64 | 65.0 |  | 6.50 |  | 10.0 × rclone | no |
| alone | ms | ≤ 500 | 500 |  |  |  |  | yes |
| other | ms | ≤ 0.5 × rclone |  |  | 1.00 |  |  |  |
| no goal | ms |  | 0 |  |  |  |  |  |
`
	var got strings.Builder
	if err := writeTable(&got, sftpPeers, figures); err != nil {
		t.Fatal(err)
	}
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", &got, want)
	}
}
