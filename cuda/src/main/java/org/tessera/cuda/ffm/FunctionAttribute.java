package org.tessera.cuda.ffm;

/** The properties of a kernel that are used here, under the names of CUfunction_attribute. */
public enum FunctionAttribute {
  SHARED_SIZE_BYTES(1),
  LOCAL_SIZE_BYTES(3),
  NUM_REGS(4),
  MAX_DYNAMIC_SHARED_SIZE_BYTES(8),
  NON_PORTABLE_CLUSTER_SIZE_ALLOWED(14);

  private final int code;

  FunctionAttribute(int code) {
    this.code = code;
  }

  int code() {
    return code;
  }
}
