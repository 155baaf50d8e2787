//! x
use relink_bus::message::*;
use relink_bus::port::*;
use relink_bus::topology::*;
use relink_rabbitmq::*;
use std::sync::Arc;
use std::sync::atomic::*;
use std::time::*;
fn ev(i: usize, body: &bytes::Bytes) -> Message {
    Message {
        exchange: Exchange::Events,
        routing_key: LIFECYCLE_KEYS[1].into(),
        also_to: None,
        mandatory: true,
        id: i.to_string().into(),
        kind: LIFECYCLE_KEYS[1].into(),
        timestamp_unix_s: 1,
        correlation: None,
        content_type: CONTENT_TYPE_JSON,
        headers: Headers {
            livemode: Some(true),
            api_version: Some("2025".into()),
            received_at_unix_ms: Some(1),
            ..Headers::default()
        },
        body: body.clone(),
    }
}
#[tokio::main]
async fn main() {
    let url = std::env::var("RELINK_TEST_AMQP_URL").unwrap();
    let mode = std::env::args().nth(1).unwrap();
    let c = RabbitConfig::new(&url).unwrap();
    println!("declare {:?}", declare(&c).await.map_err(|e| e.to_string()));
    let p = Arc::new(RabbitPublisher::new(c.clone()));
    p.state().watch().wait_for(|s| s.connected).await.unwrap();
    let body = bytes::Bytes::from(vec![b'x'; 1200]);
    if mode == "bench" {
        for rep in 0..3 {
            for w in [1usize, 64, 256, 500] {
                let n = Arc::new(AtomicUsize::new(0));
                let t = Instant::now();
                let ts: Vec<_> = (0..w)
                    .map(|_| {
                        let (p, n, body) = (p.clone(), n.clone(), body.clone());
                        tokio::spawn(async move {
                            while t.elapsed() < Duration::from_secs(2) {
                                p.publish(ev(n.fetch_add(1, Ordering::Relaxed), &body))
                                    .await
                                    .unwrap();
                            }
                        })
                    })
                    .collect();
                for t in ts {
                    t.await.unwrap();
                }
                println!(
                    "{rep} publish w={w}: {:.0}/s",
                    n.load(Ordering::Relaxed) as f64 / t.elapsed().as_secs_f64()
                );
            }
            let t = Instant::now();
            let ms: Vec<_> = (0..50000).map(|i| ev(i, &body)).collect();
            let t2 = Instant::now();
            let r = p.publish_all(ms).await;
            println!(
                "{rep} publish_all: {:.0}/s ok={} build {:?}",
                50000.0 / t2.elapsed().as_secs_f64(),
                r.iter().filter(|r| r.is_ok()).count(),
                t2 - t
            );
            let s = RabbitSubscriber::new(c.clone(), WorkQueue::Lifecycle);
            let mut n = 0;
            let mut t = Instant::now();
            while let Ok(Ok(b)) =
                tokio::time::timeout(Duration::from_secs(1), s.next_batch(256, Duration::ZERO))
                    .await
            {
                if n == 0 {
                    t = Instant::now();
                }
                n += b.len();
                s.settle(b.iter().map(|d| (d.receipt, Settlement::Accept)).collect()).await;
            }
            println!("{rep} consume: {n} {:.0}/s", n as f64 / (t.elapsed().as_secs_f64() - 1.0));
        }
        return;
    }
    let s = Arc::new(RabbitSubscriber::new(c.clone(), WorkQueue::Lifecycle));
    let seen = Arc::new(std::sync::Mutex::new(std::collections::HashSet::new()));
    {
        let (s, seen) = (s.clone(), seen.clone());
        tokio::spawn(async move {
            loop {
                match s.next_batch(256, Duration::ZERO).await {
                    Ok(b) => {
                        seen.lock()
                            .unwrap()
                            .extend(b.iter().filter_map(|d| d.id.as_ref()?.parse::<usize>().ok()));
                        s.settle(b.iter().map(|d| (d.receipt, Settlement::Accept)).collect()).await;
                    }
                    Err(e) => {
                        println!("sub: {e}");
                        tokio::time::sleep(Duration::from_secs(1)).await
                    }
                }
            }
        });
    }
    let ok = Arc::new(std::sync::Mutex::new(Vec::new()));
    let errs = Arc::new(std::sync::Mutex::new(std::collections::BTreeMap::<&str, usize>::new()));
    let worst = Arc::new(AtomicU64::new(0));
    let base = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as usize * 10;
    let n = Arc::new(AtomicUsize::new(base));
    let stop = Arc::new(AtomicBool::new(false));
    let ts: Vec<_> = (0..32)
        .map(|_| {
            let (p, n, ok, errs, body, worst, stop) = (
                p.clone(),
                n.clone(),
                ok.clone(),
                errs.clone(),
                body.clone(),
                worst.clone(),
                stop.clone(),
            );
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let i = n.fetch_add(1, Ordering::Relaxed);
                    let t = Instant::now();
                    match p.publish(ev(i, &body)).await {
                        Ok(()) => ok.lock().unwrap().push(i),
                        Err(e) => {
                            *errs.lock().unwrap().entry(e.as_str()).or_default() += 1;
                            tokio::time::sleep(Duration::from_millis(20)).await
                        }
                    }
                    worst.fetch_max(t.elapsed().as_millis() as u64, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            })
        })
        .collect();
    let secs: u64 = std::env::args().nth(2).unwrap().parse().unwrap();
    for i in 0..secs {
        tokio::time::sleep(Duration::from_secs(1)).await;
        println!(
            "{i} ok={} seen={} errs={:?} worst={}ms pub={:?} sub={:?}",
            ok.lock().unwrap().len(),
            seen.lock().unwrap().len(),
            errs.lock().unwrap(),
            worst.swap(0, Ordering::Relaxed),
            p.state().status(),
            s.state().status()
        );
    }
    stop.store(true, Ordering::Relaxed);
    for t in ts {
        t.await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let seen = seen.lock().unwrap();
    let lost = ok.lock().unwrap().iter().filter(|i| !seen.contains(i)).count();
    println!("CONFIRMED {} LOST {lost}", ok.lock().unwrap().len());
}
