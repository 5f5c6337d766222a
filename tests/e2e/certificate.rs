//! Certificates of a bottle: of the engine, of who may speak to it, and of who may not.

use crate::bottle::Bottle;

/// An address that the engine's certificate is good for beside 127.0.0.1, and that is none of loopback's.
pub(crate) const OUTSIDE: &str = "192.0.2.1";

/// Makes them in the project's folder `tls`: the authorities `ca` and `stranger`; `server` and `client`, for which the first vouches, and `intruder`,
/// a client for which the second does. `NAME.pem` is an authority's certificate, `NAME-cert.pem` another's, `NAME-key.pem` its key; what is the
/// client's is in a folder `client`, too, under the names that `docker` looks for.
pub(crate) fn make(bottle: &Bottle) {
    let script = r#"set -e
        mkdir -p tls/client && cd tls
        kind='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
        authority() { openssl req -x509 $kind -keyout $1-key.pem -out $1.pem -days 2 -subj /CN=$1; }
        issue() {
            echo "extendedKeyUsage = $3" >> $2.ext
            openssl req $kind -keyout $2-key.pem -subj /CN=$2 |
                openssl x509 -req -CA $1.pem -CAkey $1-key.pem -CAcreateserial -days 2 -extfile $2.ext -out $2-cert.pem
        }
        authority ca && authority stranger
        echo "subjectAltName = IP:127.0.0.1,IP:OUTSIDE" > server.ext
        issue ca server serverAuth
        issue ca client clientAuth
        issue stranger intruder clientAuth
        cp ca.pem client/ca.pem && cp client-cert.pem client/cert.pem && cp client-key.pem client/key.pem"#;
    bottle.shell(&script.replace("OUTSIDE", OUTSIDE)).success();
}
