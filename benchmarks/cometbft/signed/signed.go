// Package signed makes and checks the transactions of the checking application: text of the key-value
// application's form, "key=value", whose value carries its author's Ed25519 key and signature.
package signed

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"strings"
)

const (
	keyBytes       = 24
	publicChars    = 43
	signatureChars = 86
)

var text = base64.RawURLEncoding

// Make returns transaction number n of a run, size bytes long, signed by its author over key and filling.
func Make(run, n int64, size int, author ed25519.PrivateKey) []byte {
	key := fmt.Sprintf("k%08d%015d", run%100000000, n)[:keyBytes]
	filling := strings.Repeat("x", size-keyBytes-1-publicChars-signatureChars)
	signature := ed25519.Sign(author, []byte(key+filling))
	public := author.Public().(ed25519.PublicKey)
	return []byte(key + "=" + text.EncodeToString(public) + text.EncodeToString(signature) + filling)
}

// IsSound tells whether a transaction's author signed it.
func IsSound(tx []byte) bool {
	head := keyBytes + 1
	if len(tx) < head+publicChars+signatureChars || tx[keyBytes] != '=' {
		return false
	}
	var public [ed25519.PublicKeySize]byte
	var signature [ed25519.SignatureSize]byte
	if _, err := text.Decode(public[:], tx[head:head+publicChars]); err != nil {
		return false
	}
	rest := head + publicChars + signatureChars
	if _, err := text.Decode(signature[:], tx[head+publicChars:rest]); err != nil {
		return false
	}
	message := append(append(make([]byte, 0, len(tx)), tx[:keyBytes]...), tx[rest:]...)
	return ed25519.Verify(public[:], message, signature[:])
}
