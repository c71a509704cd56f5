// Package gopsutilenv says where /proc and its like are: of the machine itself, and no other root_path.
package gopsutilenv

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/shirou/gopsutil/v4/common"
)

// ValidateRootPath refuses the root_path of a container, which this stub cannot follow.
func ValidateRootPath(rootPath string) error {
	if rootPath != "" && rootPath != "/" {
		return errors.New("root_path: the Collector of the tests reads its own machine only")
	}
	return nil
}

// SetGoPsutilEnvVars leaves every folder where it is.
func SetGoPsutilEnvVars(string) common.EnvMap { return common.EnvMap{} }

// GetEnvWithContext joins a path below the folder that a variable names, or below the usual one.
func GetEnvWithContext(ctx context.Context, key, usual string, below ...string) string {
	folder := usual
	if env, ok := ctx.Value(common.EnvKey).(common.EnvMap); ok && env[common.EnvKeyType(key)] != "" {
		folder = env[common.EnvKeyType(key)]
	} else if value := os.Getenv(key); value != "" {
		folder = value
	}
	return filepath.Join(append([]string{folder}, below...)...)
}
