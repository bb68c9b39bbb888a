// Verifies a signed schema 1 manifest with the library that Docker engines verify with.
// Standard input: the signed document. Standard output: its payload. Exit 1 with the reason if it is not accepted.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/docker/libtrust"
)

func main() {
	document, err := io.ReadAll(os.Stdin)
	if err == nil {
		var signature *libtrust.JSONSignature
		if signature, err = libtrust.ParsePrettySignature(document, "signatures"); err == nil {
			if _, err = signature.Verify(); err == nil {
				var payload []byte
				if payload, err = signature.Payload(); err == nil {
					os.Stdout.Write(payload)
					return
				}
			}
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
