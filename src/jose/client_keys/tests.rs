//! Sets and signatures of every kind that clients have.

use std::sync::LazyLock;

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair},
};
use jsonwebtoken::{EncodingKey, jwk::Jwk};
use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A private key, and the algorithms that it signs with.
struct Signer {
    key: EncodingKey,
    algorithms: &'static [JwsAlgorithm],
}

impl Signer {
    fn jwk(&self) -> Value {
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&self.key, to_jsonwebtoken(self.algorithms[0])).unwrap()).unwrap();
        jwk.as_object_mut().unwrap().remove("alg");
        jwk
    }

    fn jwk_with(&self, members: &Value) -> Value {
        let mut jwk = self.jwk();
        jwk.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        jwk
    }

    fn sign(&self, header: &Value) -> String {
        let algorithm = JwsAlgorithm::parse(header["alg"].as_str().unwrap()).unwrap();
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(&json!({ "iss": "app" })));
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &self.key, to_jsonwebtoken(algorithm)).unwrap();
        format!("{signed}.{signature}")
    }
}

static SIGNERS: LazyLock<[Signer; 4]> = LazyLock::new(|| {
    crate::jose::install_provider();
    let elliptic = |algorithm| EcdsaKeyPair::generate(algorithm).unwrap().to_pkcs8v1().unwrap().as_ref().to_vec();
    let ed25519 = Ed25519KeyPair::generate().unwrap().to_pkcs8v1().unwrap().as_ref().to_vec();
    [
        Signer { key: rsa_key(KeySize::Rsa2048), algorithms: RSA },
        Signer { key: EncodingKey::from_ec_der(&elliptic(&ECDSA_P256_SHA256_FIXED_SIGNING)), algorithms: P256 },
        Signer { key: EncodingKey::from_ec_der(&elliptic(&ECDSA_P384_SHA384_FIXED_SIGNING)), algorithms: P384 },
        Signer { key: EncodingKey::from_ed_der(&ed25519), algorithms: ED25519 },
    ]
});

fn rsa_key(size: KeySize) -> EncodingKey {
    let pair = RsaKeyPair::generate(size).unwrap();
    // What PKCS #8 puts around the PKCS #1 that the library wants.
    EncodingKey::from_rsa_der(&AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap().as_ref()[26..])
}

fn set(keys: &[Value]) -> Result<ClientKeys, KeySetRefused> {
    ClientKeys::read(json!({ "keys": keys }).to_string().as_bytes())
}

fn verified(keys: &ClientKeys, token: &str) -> Result<Value, Unverified> {
    keys.verify(&Jws::parse(token)?)
}

/// RFC 7518 §3.1, RFC 8037 §3.1: every algorithm that is announced.
#[test]
fn every_algorithm_is_verified_by_its_key_and_by_no_other() {
    for signer in &*SIGNERS {
        let own = set(&[signer.jwk()]).unwrap();
        for algorithm in signer.algorithms {
            let token = signer.sign(&json!({ "alg": algorithm.as_str() }));
            assert_eq!(verified(&own, &token).unwrap()["iss"], "app", "{algorithm:?}");
            let forged = token.replacen(".ey", ".ey0", 1);
            assert!(verified(&own, &forged).is_err());
            for other in SIGNERS.iter().filter(|other| !std::ptr::eq(*other, signer)) {
                assert_eq!(verified(&set(&[other.jwk()]).unwrap(), &token), Err(Unverified::NoKey));
            }
        }
    }
    let stranger = Signer { key: rsa_key(KeySize::Rsa2048), algorithms: RSA };
    let token = stranger.sign(&json!({ "alg": "RS256" }));
    assert_eq!(verified(&set(&[SIGNERS[0].jwk()]).unwrap(), &token), Err(Unverified::Signature));
}

/// RFC 7515 §4.1.4, RFC 7517 §4.4, §4.5.
#[test]
fn kid_and_alg_say_which_key_it_is() {
    let signer = &SIGNERS[0];
    let keys = set(&[signer.jwk_with(&json!({ "kid": "a", "alg": "PS256", "use": "sig", "key_ops": ["verify"] }))]).unwrap();
    for (header, expected) in [
        (json!({ "alg": "PS256", "kid": "a" }), Ok(())),
        (json!({ "alg": "PS256" }), Ok(())),
        (json!({ "alg": "PS256", "kid": "b" }), Err(Unverified::NoKey)),
        (json!({ "alg": "RS256", "kid": "a" }), Err(Unverified::NoKey)),
    ] {
        assert_eq!(verified(&keys, &signer.sign(&header)).map(drop), expected, "{header}");
    }
}

/// RFC 8725 §3.1, §3.2: the public key is no secret of a MAC, and neither is a key of the token.
#[test]
fn a_public_key_keys_no_mac() {
    let jwk = SIGNERS[0].jwk();
    let keys = set(std::slice::from_ref(&jwk)).unwrap();
    let modulus = BASE64_URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    for secret in [modulus, jwk.to_string().into_bytes()] {
        let mac = Signer { key: EncodingKey::from_secret(&secret), algorithms: JwsAlgorithm::SYMMETRIC };
        assert_eq!(verified(&keys, &mac.sign(&json!({ "alg": "HS256", "jwk": jwk }))), Err(Unverified::NoKey));
    }
}

/// RFC 7517 §5: what is not understood is passed over; §4.2, §4.3: so is what is for another use.
#[test]
fn keys_that_cannot_be_used_are_passed_over() {
    let signer = &SIGNERS[1];
    let (x, y) = (signer.jwk()["x"].clone(), signer.jwk()["y"].clone());
    let weak =
        Signer { key: rsa_key(KeySize::Rsa2048), algorithms: RSA }.jwk_with(&json!({ "n": BASE64_URL_SAFE_NO_PAD.encode([0xff; 255]) }));
    let unusable = [
        json!({}),
        json!({ "kty": "AKP", "alg": "ML-DSA-44" }),
        json!({ "kty": "EC", "crv": "secp256k1", "x": x, "y": y }),
        json!({ "kty": "EC", "crv": "P-384", "x": x, "y": y }),
        json!({ "kty": "EC", "crv": "P-256", "x": x }),
        json!({ "kty": "OKP", "crv": "X25519", "x": x }),
        json!({ "kty": "RSA", "n": BASE64_URL_SAFE_NO_PAD.encode([0xff; 513]), "e": "AQAB" }),
        json!({ "kty": "RSA", "n": BASE64_URL_SAFE_NO_PAD.encode([0xff; 256]), "e": "__________8" }),
        json!({ "kty": "RSA", "n": "", "e": "" }),
        signer.jwk_with(&json!({ "use": "enc" })),
        signer.jwk_with(&json!({ "use": 1 })),
        signer.jwk_with(&json!({ "key_ops": ["encrypt"] })),
        signer.jwk_with(&json!({ "alg": "RS256" })),
        signer.jwk_with(&json!({ "alg": "none" })),
        signer.jwk_with(&json!({ "kid": 7 })),
        weak,
    ];
    for key in &unusable {
        assert_eq!(set(std::slice::from_ref(key)).map(drop), Err(KeySetRefused::NoneUsable), "{key}");
        let beside = set(&[key.clone(), signer.jwk()]).unwrap();
        assert!(verified(&beside, &signer.sign(&json!({ "alg": "ES256" }))).is_ok(), "{key}");
    }
}

/// A point that is not on the curve verifies nothing, and nothing panics.
#[test]
fn a_point_off_the_curve_verifies_nothing() {
    let off = SIGNERS[1].jwk_with(&json!({ "x": BASE64_URL_SAFE_NO_PAD.encode([1; 32]) }));
    let token = SIGNERS[1].sign(&json!({ "alg": "ES256" }));
    assert_eq!(verified(&set(&[off]).unwrap(), &token), Err(Unverified::Signature));
}

/// RFC 7591 §2: public keys. Whoever publishes a private one must not be let go on.
#[test]
fn a_set_with_a_private_or_symmetric_key_is_refused() {
    for members in [json!({ "d": "AQAB" }), json!({ "k": "AQAB" }), json!({ "oth": [] }), json!({ "p": null })] {
        assert_eq!(set(&[SIGNERS[1].jwk(), SIGNERS[0].jwk_with(&members)]).map(drop), Err(KeySetRefused::Private), "{members}");
    }
    assert_eq!(set(&[json!({ "kty": "oct", "k": "c2VjcmV0" })]).map(drop), Err(KeySetRefused::Private));
}

/// `OpenID` Core §10.1: where a set has several keys, a `kid` says which. Trying many would be work that strangers order.
#[test]
fn few_keys_are_tried_on_one_jws() {
    let signer = &SIGNERS[0];
    let (token, with_kid) = (signer.sign(&json!({ "alg": "RS256" })), signer.sign(&json!({ "alg": "RS256", "kid": "k" })));
    let of = |keys: usize, members: &Value| set(&vec![signer.jwk_with(members); keys]).unwrap();
    for members in [json!({}), json!({ "kid": "k" })] {
        for token in [&token, &with_kid] {
            assert!(verified(&of(CANDIDATES, &members), token).is_ok());
            assert_eq!(verified(&of(CANDIDATES + 1, &members), token), Err(Unverified::Ambiguous), "{members}");
        }
    }
    // Those of another kind or name are no candidates.
    let others =
        [vec![SIGNERS[1].jwk(); 8], vec![signer.jwk_with(&json!({ "kid": "other" })); 8], vec![signer.jwk_with(&json!({ "kid": "k" }))]]
            .concat();
    assert!(verified(&set(&others).unwrap(), &with_kid).is_ok());
}

#[test]
fn a_set_is_bounded() {
    assert_eq!(set(&vec![SIGNERS[1].jwk(); KEYS + 1]).map(drop), Err(KeySetRefused::TooLarge));
    assert!(set(&vec![SIGNERS[1].jwk(); KEYS]).is_ok());
    let large = format!("{}{}", json!({ "keys": [SIGNERS[1].jwk()] }), " ".repeat(DOCUMENT));
    assert_eq!(ClientKeys::read(large.as_bytes()).map(drop), Err(KeySetRefused::TooLarge));
    for text in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[1]}"#, "\u{feff}{}"] {
        assert_eq!(ClientKeys::read(text.as_bytes()).map(drop), Err(KeySetRefused::NotASet), "{text}");
    }
}

/// RFC 7518 §3.2: the key has as many octets as the hash. `OpenID` Core §16.19.
#[test]
fn a_mac_needs_a_secret_of_its_size() {
    crate::jose::install_provider();
    for (algorithm, octets) in [("HS256", 32), ("HS384", 48), ("HS512", 64)] {
        let secret = |length| Secret::from("s".repeat(length));
        let signed = |length| {
            let key = EncodingKey::from_secret(secret(length).expose().as_bytes());
            Signer { key, algorithms: JwsAlgorithm::SYMMETRIC }.sign(&json!({ "alg": algorithm }))
        };
        let outcome = |token: &str, secrets: &[Secret]| verify_with_secrets::<Value>(&Jws::parse(token).unwrap(), secrets).map(drop);
        assert_eq!(outcome(&signed(octets), &[Secret::generate_for_mac(), secret(octets)]), Ok(()));
        assert_eq!(outcome(&signed(octets - 1), &[secret(octets - 1)]), Err(Unverified::NoSecret));
        assert_eq!(outcome(&signed(octets), &[Secret::generate_for_mac()]), Err(Unverified::Signature));
        assert_eq!(outcome(&signed(octets), &[]), Err(Unverified::NoSecret));
    }
    let token = SIGNERS[1].sign(&json!({ "alg": "ES256" }));
    assert_eq!(verify_with_secrets::<Value>(&Jws::parse(&token).unwrap(), &[Secret::generate_for_mac()]), Err(Unverified::Algorithm));
}

proptest! {
    #[test]
    fn any_bytes_are_a_set_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = ClientKeys::read(&bytes);
    }

    /// Keys whose members are of any kind: none panics, and none verifies what another signed.
    #[test]
    fn keys_of_any_members_verify_nothing_of_others(
        json in "\\{\"keys\":\\[\\{(\"(kty|crv|x|y|n|e|use|alg|kid|key_ops)\":(\"(RSA|EC|OKP|P-256|Ed25519|sig|ES256|AQAB|[A-Za-z0-9_-]{43})\"|1|null|\\[\\]),?){0,6}\\}\\]\\}"
    ) {
        if let Ok(keys) = ClientKeys::read(json.as_bytes()) {
            for signer in &*SIGNERS {
                let token = signer.sign(&json!({ "alg": signer.algorithms[0].as_str() }));
                prop_assert!(verified(&keys, &token).is_err());
            }
        }
    }
}
