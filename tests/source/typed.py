"""Whatever a person may type where an address or a path is asked for."""

from hypothesis import strategies as st

AWKWARD = "\n\r\t \0é€\u2028\ufeff'\"\\/@:?#%[]{}*+&=<>~.😀"
typed = st.one_of(
    st.text(max_size=30),
    st.text(AWKWARD + "ab1", max_size=20),
    st.builds(
        "{}{}{}".format,
        st.sampled_from(
            ["http", "https", "file", "ftp", "sftp", "s3", "gs", "az", "memory", "data", "zip", "HTTP", ""]
        ),
        st.sampled_from(["://", ":/", "::", ":", "//"]),
        st.text(AWKWARD + "ab1", max_size=20),
    ),
    st.text("aB3-_", min_size=25, max_size=35),
)
