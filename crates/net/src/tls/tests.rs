use meshline_identity::KeyPair;
use meshline_protocol::Code;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::{TlsIdentity, check_expected};

fn identity(n: u8) -> TlsIdentity {
    TlsIdentity::new(&KeyPair::from_secret([n; 32])).unwrap()
}

#[tokio::test]
async fn both_sides_learn_the_key_that_the_other_proved() {
    let (near, far) = duplex(64 * 1024);
    let (client, server) = (identity(1), identity(2));
    let (from_client, from_server) = tokio::join!(client.connect(near), server.accept(far));
    let ((mut near, server_id), (mut far, client_id)) = (from_client.unwrap(), from_server.unwrap());
    assert_eq!((client_id, server_id), (client.id(), server.id()));

    near.write_all(b"hello").await.unwrap();
    near.flush().await.unwrap();
    let mut heard = [0; 5];
    far.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"hello");
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused() {
    let (near, far) = duplex(64 * 1024);
    let provider = super::provider();
    let config = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(std::sync::Arc::new(super::KeyVerifier::new(&provider)))
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let server = identity(2);
    let name = rustls::pki_types::ServerName::try_from("x").unwrap();
    let (_client, refused) = tokio::join!(connector.connect(name, near), server.accept(far));
    assert_eq!(refused.unwrap_err().code, Code::TlsFailed);
}

#[tokio::test]
async fn a_client_with_a_key_of_another_kind_is_refused() {
    let (near, far) = duplex(64 * 1024);
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::default().self_signed(&pair).unwrap();
    let private = rustls::pki_types::PrivatePkcs8KeyDer::from(pair.serialize_der()).into();
    let config = super::client_config(certificate.der().clone(), private).unwrap();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let server = identity(2);
    let name = rustls::pki_types::ServerName::try_from("x").unwrap();
    let (_client, refused) = tokio::join!(connector.connect(name, near), server.accept(far));
    assert_eq!(refused.unwrap_err().code, Code::TlsFailed);
}

#[test]
fn another_key_than_the_expected_one_is_a_mismatch() {
    let (one, two) = (identity(1).id(), identity(2).id());
    assert_eq!(check_expected(one, Some(one)), Ok(one));
    assert_eq!(check_expected(one, None), Ok(one));
    assert_eq!(check_expected(one, Some(two)).unwrap_err().code, Code::IdentityMismatch);
}
