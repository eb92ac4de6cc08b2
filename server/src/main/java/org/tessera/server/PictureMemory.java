package org.tessera.server;

import java.util.ArrayList;
import java.util.List;

/** Memory of the pictures of one request, given back when it ends. */
final class PictureMemory implements AutoCloseable {
  private final MemoryBudget budget;
  private final List<MemoryBudget.Lease> leases = new ArrayList<>();

  PictureMemory(MemoryBudget budget) {
    this.budget = budget;
  }

  /**
   * @throws ApiException where there is not so much
   */
  void take(long bytes) {
    leases.add(budget.take(bytes));
  }

  @Override
  public void close() {
    leases.forEach(MemoryBudget.Lease::close);
    leases.clear();
  }
}
