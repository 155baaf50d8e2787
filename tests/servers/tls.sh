# shellcheck shell=bash
# Certificates of a test for a private server. Sourced, never run.

# The folder with authority.pem, server.pem and server-key.pem; empty: the servers speak plainly.
TLS_SOURCE=''

# tls_install USER FOLDER: copies them for one server, whose user alone may read the key. Each is
# replaced in one piece, so that a running server never reads half of one.
tls_install() {
    local user=$1 dir=$2 file
    mkdir -p "$dir" || return 1
    for file in authority.pem server.pem server-key.pem; do
        install -m 600 "$TLS_SOURCE/$file" "$dir/$file.new" || return 1
        ((EUID != 0)) || chown "$user": "$dir" "$dir/$file.new" || return 1
        mv -f "$dir/$file.new" "$dir/$file" || return 1
    done
}
