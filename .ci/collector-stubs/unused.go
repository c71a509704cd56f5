// Package unused stands for what only Windows or a test imports: `go mod tidy` looks for it, nothing compiles it.
package unused
