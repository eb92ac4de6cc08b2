/** The paged key/value cache: block pool, leases and the prefix index. */
@NullMarked
package org.tessera.kv;

import org.jspecify.annotations.NullMarked;
