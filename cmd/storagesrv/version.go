package main

import (
	"fmt"
	"runtime/debug"
)

type versionCommand struct{}

func (versionCommand) Run(out output) error {
	version, commit, goVersion := build()
	_, err := fmt.Fprintf(out.stdout, "storagesrv %s, commit %s, %s\n", version, commit, goVersion)
	return err
}

// build tells what this program was built from.
func build() (version, commit, goVersion string) {
	version, commit = "(devel)", "unknown"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return version, commit, "unknown"
	}
	if info.Main.Version != "" {
		version = info.Main.Version
	}
	modified := ""
	for _, setting := range info.Settings {
		switch {
		case setting.Key == "vcs.revision":
			commit = setting.Value
		case setting.Key == "vcs.modified" && setting.Value == "true":
			modified = " and changes"
		}
	}
	return version, commit + modified, info.GoVersion
}
