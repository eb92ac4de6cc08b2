package org.tessera.cuda.ffm;

/** Element types of matrices, under the names and codes of cudaDataType. */
public enum BlasType {
  R_32F(0),
  R_16F(2),
  R_16BF(14);

  private final int code;

  BlasType(int code) {
    this.code = code;
  }

  /** For attributes that are types. */
  public int code() {
    return code;
  }
}
