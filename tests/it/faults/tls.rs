//! Servers with certificates, good and bad.

use actionlog::ReqwestClient;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

use super::server::{Act, FOREVER, Plan, Server, serve, usual};
use crate::support::acceptor;

/// What is wrong with a certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Certificate {
    Good,
    /// No trusted authority has signed it.
    Unknown,
    ForAnother,
    Over,
}

impl Server {
    /// A server of HTTP/1 over TLS, and a client that trusts its certificate unless that is `Unknown`.
    pub(super) async fn https(certificate: Certificate, plan: Plan<Act>) -> Self {
        let key = KeyPair::generate().unwrap();
        let name = if certificate == Certificate::ForAnother { "elsewhere.test" } else { "127.0.0.1" };
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        if certificate == Certificate::Over {
            params.not_after = date_time_ymd(2001, 1, 1);
        }
        let signed = params.self_signed(&key).unwrap();
        let acceptor = acceptor(&signed, &key);
        let mut server = Self::start(move |stream, seen, elsewhere| {
            let (acceptor, plan) = (acceptor.clone(), plan.clone());
            async move { serve(acceptor.accept(stream).await?, &plan, &seen, elsewhere).await }
        })
        .await;
        server.url = server.url.replace("http:", "https:");
        if certificate != Certificate::Unknown {
            let root = reqwest::Certificate::from_der(signed.der()).unwrap();
            let client = usual().tls_certs_only([root]);
            server.http_client = Some(ReqwestClient::from_reqwest(client.build().unwrap()));
        }
        server
    }

    /// A server without TLS, at an `https` URL.
    pub(super) async fn no_tls(bytes: Option<&'static [u8]>) -> Self {
        let mut server = Self::start(move |mut stream, _, _| async move {
            // The ClientHello has arrived, or its beginning.
            stream.read_u8().await?;
            match bytes {
                Some(bytes) => stream.write_all(bytes).await?,
                None => sleep(FOREVER).await,
            }
            stream.shutdown().await?;
            while stream.read(&mut [0; 64]).await? > 0 {}
            Ok(())
        })
        .await;
        server.url = server.url.replace("http:", "https:");
        server
    }
}
