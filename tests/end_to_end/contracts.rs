//! What the binary prints of the contract is what is kept for others, and what suites hold their
//! messages against.

use std::path::Path;

use relink_tests::process::{Settings, run};
use relink_tests::stage::Stage;
use serde_json::Value;

pub(crate) async fn the_binary_prints_the_contract_that_is_kept(_: &Stage) {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/contracts");
    for (arguments, name) in [
        (&["schema"][..], "schemas.json"),
        (&["schema", "--asyncapi"], "asyncapi.json"),
        (&["schema", "--openapi"], "openapi.json"),
    ] {
        let output = run(arguments, &Settings::new()).await;
        assert!(output.status.success(), "{arguments:?}");
        let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
        let kept: Value = serde_json::from_slice(&std::fs::read(kept.join(name)).unwrap()).unwrap();
        assert!(printed == kept, "relink {arguments:?} > deploy/contracts/{name}");
    }
}
