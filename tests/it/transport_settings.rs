//! Connection settings of users: proxies, certificates, addresses, a reqwest builder. The crate's own safety settings
//! stay in force.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use actionlog::reqwest::dns::{Addrs, Name, Resolve, Resolving};
use actionlog::{ClientBuilder, ErrorKind, IntegrationClient, Request, ReqwestClient, RetryPolicy, reqwest};

use crate::support::{Raw, Then, promptly};

const RESPONSE: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";

fn probe() -> Request<()> {
    Request::get("probe", [""; 0])
}

fn at(url: impl Into<String>) -> ClientBuilder<IntegrationClient> {
    IntegrationClient::builder(url).api_key("key").allow_http().retry(RetryPolicy::never())
}

async fn responding() -> Raw {
    Raw::start(Then::Send(RESPONSE.to_vec())).await
}

fn problem(builder: ClientBuilder<IntegrationClient>) -> String {
    let error = builder.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    format!("{error} {error:?}")
}

#[tokio::test]
async fn requests_use_the_proxy_with_its_password() {
    let proxy = responding().await;
    let url = proxy.url().replace("//", "//robot:s3cret-pass@");
    let builder = at("http://logs.example.test/below").proxy(url);
    assert!(!format!("{builder:?}").contains("s3cret"));
    promptly(builder.build().unwrap().send(probe())).await.unwrap();
    let own = reqwest::Client::builder().proxy(reqwest::Proxy::all(proxy.url()).unwrap());
    promptly(at("http://logs.example.test").reqwest(own).build().unwrap().send(probe())).await.unwrap();
    let heads = proxy.heads();
    assert!(heads[0].starts_with("GET http://logs.example.test/below/probe HTTP/1.1\r\n"), "{}", heads[0]);
    // robot:s3cret-pass
    assert!(
        heads[0].to_lowercase().contains("proxy-authorization: basic cm9ib3q6cznjcmv0lxbhc3m=\r\n"),
        "{}",
        heads[0]
    );
    assert!(heads[1].starts_with("GET http://logs.example.test/probe HTTP/1.1\r\n"), "{}", heads[1]);
}

#[cfg(feature = "rustls")]
#[tokio::test]
async fn a_proxy_does_not_see_requests_to_an_https_server() {
    let proxy = Raw::start(Then::Send(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n".to_vec())).await;
    let client = at("https://logs.example.test").proxy(proxy.url()).build().unwrap();
    let error = promptly(client.send(probe())).await.unwrap_err();
    assert!(error.is_connect(), "{error}");
    let head = proxy.heads().remove(0);
    assert!(head.starts_with("CONNECT logs.example.test:443 HTTP/1.1\r\n") && !head.contains("key"), "{head}");
}

#[tokio::test]
async fn a_server_on_localhost_is_not_requested_through_a_proxy() {
    let (server, proxy) = (responding().await, responding().await);
    let problem = problem(at(server.url()).proxy(proxy.url()));
    assert!(problem.contains("proxy") && problem.contains("from_reqwest"), "{problem}");
    let own = reqwest::Client::builder().proxy(reqwest::Proxy::all(proxy.url()).unwrap());
    promptly(at(server.url()).reqwest(own).build().unwrap().send(probe())).await.unwrap();
    assert_eq!((server.heads().len(), proxy.heads().len()), (1, 0));
    // An HTTP client shared between servers uses its proxy for all of them.
    let own = reqwest::Client::builder().proxy(reqwest::Proxy::all(proxy.url()).unwrap());
    let http_client = ReqwestClient::from_reqwest_builder(own, None).unwrap();
    promptly(at(server.url()).http_client(http_client).build().unwrap().send(probe())).await.unwrap();
    assert_eq!((server.heads().len(), proxy.heads().len()), (1, 1));
}

#[test]
fn a_proxy_that_cannot_be_used_is_rejected_without_its_password() {
    for url in
        ["", "socks5://u:s3cret@h:1", "ftp://u:s3cret@h", "http://", "http://u:s3cret@h:port", "not a url s3cret"]
    {
        let problem = problem(at("http://logs.example.test").proxy(url));
        assert!(problem.contains("proxy") && !problem.contains("s3cret"), "{problem}");
    }
}

#[tokio::test]
async fn a_host_is_reached_at_the_address_that_was_set() {
    let server = responding().await;
    let (_, port) = server.url().rsplit_once(':').map(|(it, port)| (it.to_owned(), port.to_owned())).unwrap();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let url = format!("http://logs.example.test:{port}");
    promptly(at(&url).no_proxy().resolve("logs.example.test", [address]).build().unwrap().send(probe())).await.unwrap();
    assert!(server.heads()[0].to_lowercase().contains(&format!("host: logs.example.test:{port}")));
    let own = reqwest::Client::builder().no_proxy().dns_resolver(Fixed(address));
    promptly(at(&url).reqwest(own).build().unwrap().send(probe())).await.unwrap();
    assert_eq!(server.heads().len(), 2);
}

#[derive(Debug)]
struct Fixed(SocketAddr);

impl Resolve for Fixed {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses: Addrs = Box::new(std::iter::once(self.0));
        Box::pin(async move { Ok(addresses) })
    }
}

#[derive(Debug)]
struct Never;

impl Resolve for Never {
    fn resolve(&self, _: Name) -> Resolving {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn the_time_to_connect_is_limited_for_a_reqwest_builder_too() {
    let own = || reqwest::Client::builder().no_proxy().dns_resolver(Never);
    let limit = Duration::from_millis(50);
    for builder in [
        at("http://logs.example.test").reqwest(own()).connect_timeout(limit),
        at("http://logs.example.test").connect_timeout(limit).reqwest(own().connect_timeout(Duration::from_secs(60))),
        at("http://logs.example.test").connect_timeout(None).reqwest(own().connect_timeout(limit)),
    ] {
        let error = promptly(builder.build().unwrap().send(probe())).await.unwrap_err();
        assert!(error.is_connect() && error.is_timeout(), "{error}");
        assert_eq!(error.outcome(), actionlog::WriteOutcome::NotSent);
    }
}

#[tokio::test]
async fn a_reqwest_builder_does_not_follow_redirects_or_repeat() {
    let moved = b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let server = Raw::start(Then::Send(moved.to_vec())).await;
    let own = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::limited(5))
        .referer(true)
        .user_agent("mine")
        .retry(reqwest::retry::for_host("127.0.0.1").classify_fn(|it| it.retryable()));
    let error = promptly(at(server.url()).reqwest(own).build().unwrap().send(probe())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Redirect);
    let heads = server.heads();
    assert_eq!(heads.len(), 1);
    assert!(heads[0].to_lowercase().contains("user-agent: actionlog/"), "{}", heads[0]);
}

#[tokio::test]
async fn a_reqwest_builder_with_a_cookie_store_is_rejected_and_others_keep_no_cookies() {
    let jar = || Arc::new(reqwest::cookie::Jar::default());
    let own = reqwest::Client::builder;
    for with_cookies in [
        own().cookie_store(true),
        own().cookie_provider(jar()),
        own().cookie_store(false).user_agent("cookie_store: false").cookie_provider(jar()),
    ] {
        let problem = problem(at("http://logs.example.test").reqwest(with_cookies));
        assert!(problem.contains("cookie store"), "{problem}");
    }
    let error = ReqwestClient::from_reqwest_builder(own().cookie_store(true), None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);

    let baking = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nset-cookie: session=1; path=/\r\n\
        content-length: 2\r\nconnection: close\r\n\r\n{}";
    let server = Raw::start(Then::Send(baking.to_vec())).await;
    let plain = own().user_agent("ClientBuilder { cookie_store: true");
    for builder in [
        at(server.url()),
        at(server.url()).reqwest(own()),
        at(server.url()).reqwest(plain),
        at(server.url()).reqwest(own().cookie_store(true).cookie_store(false)),
    ] {
        let client = builder.build().unwrap();
        for _ in 0..2 {
            promptly(client.send(probe())).await.unwrap();
        }
    }
    let heads = server.heads();
    assert!(heads.len() == 8 && heads.iter().all(|it| !it.to_lowercase().contains("\r\ncookie:")), "{heads:?}");
}

#[test]
fn connection_settings_with_a_custom_http_client_are_rejected_by_name() {
    let own = || at("http://localhost").http_client(ReqwestClient::new(None).unwrap());
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    for (builder, name) in [
        (own().proxy("http://proxy.example.test:3128"), "a proxy"),
        (own().no_proxy(), "a proxy"),
        (own().root_certificates("pem"), "root certificates"),
        (own().only_root_certificates("pem"), "root certificates"),
        (own().client_certificate("pem", "pem"), "a client certificate"),
        (own().resolve("host", [address]), "a host's address"),
        (own().reqwest(reqwest::Client::builder()), "a reqwest builder"),
    ] {
        let problem = problem(builder);
        assert!(problem.contains(name), "{problem}");
    }
}

#[cfg(feature = "rustls")]
mod mutual {
    use std::sync::Arc;

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::crypto::aws_lc_rs;
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;
    use tokio_rustls::rustls::server::WebPkiClientVerifier;
    use tokio_rustls::rustls::{RootCertStore, ServerConfig};

    use actionlog::auth;

    use super::*;
    use crate::support::pem;

    type Issuer = CertifiedIssuer<'static, KeyPair>;

    fn authority() -> Issuer {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn issued(issuer: &Issuer, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.signed_by(&key, issuer).unwrap(), key)
    }

    /// A server with a certificate for this name, which requires a client certificate of the authority.
    async fn demanding(authority: &Issuer, name: &str) -> String {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let (certificate, key) = issued(authority, name);
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let mut stream = match acceptor.accept(stream).into_fallible().await {
                    Ok(stream) => stream,
                    Err((_, mut refused)) => {
                        // Closing with unread data would reset the connection, and the client would miss the alert.
                        tokio::spawn(async move { while refused.read(&mut [0; 4096]).await.is_ok_and(|it| it > 0) {} });
                        continue;
                    }
                };
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(RESPONSE).await;
                let _ = stream.shutdown().await;
            }
        });
        url
    }

    #[tokio::test]
    async fn a_client_certificate_is_shown_to_a_server_that_asks_for_one() {
        let (ours, theirs) = (authority(), authority());
        let url = demanding(&ours, "127.0.0.1").await;
        let builder = || {
            IntegrationClient::builder(&url)
                .authenticator(auth::none())
                .retry(RetryPolicy::never())
                .only_root_certificates(pem("CERTIFICATE", ours.der()))
        };
        let (certificate, key) = issued(&ours, "robot");
        let (certificate, key) = (pem("CERTIFICATE", certificate.der()), pem("PRIVATE KEY", &key.serialize_der()));
        let both = format!("{certificate}{key}");
        let own = reqwest::Client::builder()
            .tls_certs_only(reqwest::Certificate::from_pem_bundle(pem("CERTIFICATE", ours.der()).as_bytes()).unwrap());
        for builder in [
            builder().client_certificate(&certificate, &key),
            builder().client_certificate(&both, &both),
            builder().client_certificate(&certificate, &key).reqwest(own),
        ] {
            promptly(builder.build().unwrap().send(probe())).await.unwrap();
        }

        let (other, others_key) = issued(&theirs, "robot");
        let mut hints = Vec::new();
        for stranger in [
            builder(),
            builder()
                .client_certificate(pem("CERTIFICATE", other.der()), pem("PRIVATE KEY", &others_key.serialize_der())),
        ] {
            let stranger = stranger.retry(RetryPolicy::default()).build().unwrap();
            let error = promptly(stranger.send(probe())).await.unwrap_err();
            // With TLS 1.3 the server says so only after the request was sent. A retry wouldn't help.
            assert_eq!(
                (error.kind(), error.is_transient(), error.attempts()),
                (ErrorKind::Transport, false, 1),
                "{error:?}"
            );
            assert!(error.to_string().contains("requires a client certificate that it trusts"), "{error}");
            hints.push(error.hint().unwrap().to_owned());
        }
        assert_eq!(hints[0], "pass it, with its private key, to client_certificate");
        assert_eq!(hints[1], "check the one that was passed to client_certificate; if there is none, pass one");
        // Only the configured authority is trusted.
        let wary = IntegrationClient::builder(&url).authenticator(auth::none()).retry(RetryPolicy::never());
        let wary = wary
            .only_root_certificates(pem("CERTIFICATE", theirs.der()))
            .client_certificate(&certificate, &key)
            .build()
            .unwrap();
        assert!(promptly(wary.send(probe())).await.unwrap_err().is_connect());

        for (certificate, key) in [("junk", "junk"), (&*certificate, ""), ("", &*key)] {
            let problem = problem(builder().client_certificate(certificate, key));
            assert!(problem.contains("client certificate"), "{problem}");
        }
    }

    /// A proxy that connects each tunnel to this address, and keeps the heads of the requests that it got.
    async fn tunnel(to: String) -> (String, Arc<std::sync::Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, heads) = (listener.local_addr().unwrap(), Arc::<std::sync::Mutex<Vec<String>>>::default());
        let kept = Arc::clone(&heads);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = vec![0; 4096];
                let read = stream.read(&mut head).await.unwrap();
                kept.lock().unwrap().push(String::from_utf8_lossy(&head[..read]).into_owned());
                let mut server = tokio::net::TcpStream::connect(&to).await.unwrap();
                stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
            }
        });
        (address.to_string(), heads)
    }

    /// As the guide says: the certificate is shown to the server, and the proxy sees neither it nor the token.
    #[tokio::test]
    async fn a_client_certificate_is_shown_to_the_server_behind_a_proxy() {
        let ours = authority();
        let url = demanding(&ours, "logs.example.com").await;
        let (proxy, heads) = tunnel(url.trim_start_matches("https://").to_owned()).await;
        let (certificate, key) = issued(&ours, "robot");
        let builder = || {
            IntegrationClient::builder("https://logs.example.com")
                .bearer("98b5af0c4e5a")
                .retry(RetryPolicy::never())
                .proxy(format!("http://ann:s3cr3t@{proxy}"))
                .only_root_certificates(pem("CERTIFICATE", ours.der()))
        };
        let with = builder()
            .client_certificate(pem("CERTIFICATE", certificate.der()), pem("PRIVATE KEY", &key.serialize_der()))
            .build()
            .unwrap();
        promptly(with.send(probe())).await.unwrap();
        let head = heads.lock().unwrap()[0].to_lowercase();
        assert!(head.starts_with("connect logs.example.com:443 http/1.1\r\n"), "{head}");
        assert!(head.contains("proxy-authorization: basic ") && !head.contains("98b5af0c"), "{head}");

        let error = promptly(builder().build().unwrap().send(probe())).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Connect | ErrorKind::Transport), "{error:?}");
        assert!(!crate::support::all_shown(&error).contains("s3cr3t"), "{error:?}");
    }
}
