//! A user for each role with no more rights than it needs, made by the scripts that operators run.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;

use crate::place::Place;

/// Whom `deploy/postgres/roles.sql` makes.
const DATABASE_USERS: [&str; 8] = [
    "relink_owner",
    "relink_worker",
    "relink_followup",
    "relink_scheduler",
    "relink_portal",
    "relink_operator",
    "relink_desk",
    "relink_standalone",
];

/// Whom `deploy/rabbitmq/permissions.json` gives permissions.
const BROKER_USERS: [&str; 10] = [
    "relink_migrate",
    "relink_ingress",
    "relink_worker",
    "relink_decider",
    "relink_followup",
    "relink_scheduler",
    "relink_portal",
    "relink_operator",
    "relink_desk",
    "relink_scaler",
];

/// Opens nothing beyond the servers of a test.
const PASSWORD: &str = "least-rights-of-a-test";

/// The users of one place. Users belong to a whole server, so each place has names of its own.
pub struct Rights {
    place: Place,
}

impl Rights {
    /// Prepares a place as `deploy/README.md` says: users, `relink migrate`, grants.
    ///
    /// # Panics
    /// When a script fails, or its users are not those of this list.
    pub async fn grant(place: &Place) -> Self {
        let rights = Self { place: place.clone() };
        rights.make_broker_users().await;
        let admin = place.database().await;
        let mut make = rights.script("postgres/roles.sql");
        for user in DATABASE_USERS {
            // A server that trusts everybody on loopback asks for none; another one does.
            make += &format!("ALTER ROLE {} PASSWORD '{PASSWORD}';\n", rights.name(user));
        }
        admin.batch_execute(&make).await.unwrap();
        let owner = rights.user("relink_migrate", "relink_owner");
        owner.migrate().await;
        let grants = rights.script("postgres/grants.sql");
        owner.database().await.batch_execute(&grants).await.unwrap();
        rights
    }

    /// The place as a user of the broker and one of the database see it.
    pub fn user(&self, broker: &str, database: &str) -> Place {
        assert!(BROKER_USERS.contains(&broker) && DATABASE_USERS.contains(&database));
        let mut place = self.place.clone();
        place.amqp_url = self.as_user(&place.amqp_url, broker);
        place.database_url = self.as_user(&place.database_url, database);
        place
    }

    /// Removes the users. What they own goes with them.
    pub async fn revoke(self) {
        let own: Vec<String> = DATABASE_USERS.iter().map(|user| self.name(user)).collect();
        let own = own.join(", ");
        let remove = format!("DROP OWNED BY {own}; DROP ROLE {own};");
        self.place.database().await.batch_execute(&remove).await.unwrap();
        let remove = self.for_all("rabbit_auth_backend_internal:delete_user(User, By)");
        self.place.control(&["eval", &remove]).await;
    }

    /// What a user of the scripts is called here.
    pub fn name(&self, user: &str) -> String {
        format!("{}_{user}", self.place.vhost())
    }

    fn as_user(&self, url: &str, user: &str) -> String {
        let (scheme, rest) = url.split_once("://").unwrap();
        let host = rest.split_once('@').map_or(rest, |(_, host)| host);
        format!("{scheme}://{}:{PASSWORD}@{host}", self.name(user))
    }

    /// A script with the users of this place for those that it names.
    fn script(&self, path: &str) -> String {
        let mut script = deployed(path);
        for user in DATABASE_USERS {
            let at = script.match_indices(user).count();
            assert!(path.ends_with("grants.sql") || at > 0, "{path} does not make {user}");
            script = script.replace(user, &self.name(user));
        }
        script
    }

    async fn make_broker_users(&self) {
        let make = self.for_all(&format!(
            "rabbit_auth_backend_internal:add_user(User, <<\"{PASSWORD}\">>, By)"
        ));
        self.place.control(&["eval", &make]).await;
        let mut definitions: Value =
            serde_json::from_str(&deployed("rabbitmq/permissions.json")).unwrap();
        for list in ["permissions", "topic_permissions"] {
            for one in definitions[list].as_array_mut().unwrap() {
                let user = one["user"].as_str().unwrap();
                assert!(BROKER_USERS.contains(&user), "{user} has permissions and is unknown");
                one["user"] = self.name(user).into();
                one["vhost"] = self.place.vhost().into();
            }
        }
        // The broker's control program is another user of this machine.
        let readable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&self.place.folder, readable).unwrap();
        let path = self.place.folder.join("permissions.json");
        fs::write(&path, definitions.to_string()).unwrap();
        self.place.control(&["import_definitions", path.to_str().unwrap()]).await;
    }

    /// One call for all users, since each takes a second of processor time to begin.
    fn for_all(&self, what: &str) -> String {
        let users: Vec<String> =
            BROKER_USERS.iter().map(|user| format!("<<\"{}\">>", self.name(user))).collect();
        format!("By = <<\"tests\">>, [{what} || User <- [{}]].", users.join(", "))
    }
}

/// A file of `deploy/`.
fn deployed(path: &str) -> String {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(top.join("deploy").join(path)).unwrap()
}
