// Package layer stands in for moby's own, which Debian's golang-github-docker-docker-dev leaves out. It has the names
// that moby's package image needs to compile; the oracle runs none of its functions.
package layer

import (
	"errors"
	"io"

	"github.com/opencontainers/go-digest"
)

// ErrLayerDoesNotExist is what a layer store answers.
var ErrLayerDoesNotExist = errors.New("layer does not exist")

// ChainID names a stack of layers.
type ChainID digest.Digest

// DiffID is the digest of a layer's unpacked tar.
type DiffID digest.Digest

// Metadata describes a layer.
type Metadata struct{}

// Layer is a stored layer.
type Layer interface {
	TarStream() (io.ReadCloser, error)
	DiffID() DiffID
	ChainID() ChainID
}

// CreateChainID is never called.
func CreateChainID([]DiffID) ChainID { panic("not implemented") }

// IsEmpty is never called.
func IsEmpty(DiffID) bool { panic("not implemented") }
