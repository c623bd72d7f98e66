//! The node key in the envelope that TLS demands.

use meshline_identity::KeyPair;
use meshline_protocol::NodeId;
use rcgen::{CertificateParams, DnType, PKCS_ED25519};
use rustls::CertificateError;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use webpki::EndEntityCert;

use super::TlsError;

/// What stands before the 32 bytes of an ed25519 key in a SubjectPublicKeyInfo (RFC 8410 §4).
const ED25519_SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A self-signed certificate over the key, and the key as TLS takes it.
pub(super) fn self_signed(key: &KeyPair) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), TlsError> {
    let der = PrivatePkcs8KeyDer::from(key.to_der()?);
    let signer = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ED25519)?;
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, key.id().short());
    let certificate = params.self_signed(&signer)?;
    Ok((certificate.der().clone(), der.into()))
}

/// The ed25519 key a certificate is about; any other kind of key is refused.
pub(super) fn node_id(certificate: &CertificateDer<'_>) -> Result<NodeId, rustls::Error> {
    let parsed = EndEntityCert::try_from(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let info = parsed.subject_public_key_info();
    let key = info.strip_prefix(&ED25519_SPKI).and_then(|key| <[u8; 32]>::try_from(key).ok());
    Ok(NodeId::from_bytes(key.ok_or(CertificateError::ApplicationVerificationFailure)?))
}
