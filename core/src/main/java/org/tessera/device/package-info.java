/** Devices, their memory, and the service interface by which a backend is found. */
@NullMarked
package org.tessera.device;

import org.jspecify.annotations.NullMarked;
