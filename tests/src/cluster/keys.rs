//! Random tokens, and the key pair that signs ServiceAccount tokens.
//!
//! `ring` makes both: it is in the tree already (rustls), so no openssl and no further crate is needed.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

use super::Error;

/// SubjectPublicKeyInfo of an uncompressed P-256 point up to the point itself (RFC 5480 section 2: id-ecPublicKey,
/// prime256v1). The API server reads public keys in this form; a PKCS#8 private key it takes for signing only.
const P256_SPKI_HEADER: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Files of the key pair of ServiceAccount tokens.
#[derive(Debug, Clone)]
pub(super) struct ServiceAccountKeys {
    pub(super) private: PathBuf,
    pub(super) public: PathBuf,
}

impl ServiceAccountKeys {
    /// Makes a new P-256 pair in `folder`.
    pub(super) fn generate(folder: &Path) -> Result<Self, Error> {
        let random = SystemRandom::new();
        let unavailable = || Error::Random("signing key");
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).map_err(|_| unavailable())?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random);
        let pair = pair.map_err(|_| unavailable())?;
        let spki = [&P256_SPKI_HEADER, pair.public_key().as_ref()].concat();
        let keys = Self { private: folder.join("sa.key"), public: folder.join("sa.pub") };
        for (path, label, der) in [(&keys.private, "PRIVATE KEY", pkcs8.as_ref()), (&keys.public, "PUBLIC KEY", &spki)]
        {
            std::fs::write(path, pem(label, der)).map_err(Error::file("write", path))?;
        }
        Ok(keys)
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    // RFC 7468: lines of 64 characters.
    let lines: Vec<&str> = (0..text.len()).step_by(64).filter_map(|at| text.get(at..text.len().min(at + 64))).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// 128 random bits in hexadecimal.
pub(super) fn random_token() -> Result<String, Error> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Error::Random("token"))?;
    Ok(format!("{:032x}", u128::from_le_bytes(bytes)))
}
