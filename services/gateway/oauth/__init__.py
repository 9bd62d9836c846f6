"""OAuth's pages and addresses. What a client may ask, and codes and grants, are auth's."""
