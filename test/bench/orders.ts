/** What every row works on: the same arguments, the same tool. */

export interface Order {
  readonly orderId: string
  readonly amount: number
  readonly currency: string
  readonly express: boolean
  readonly customer: { readonly id: string; readonly name: string; readonly email: string }
  readonly items: readonly { readonly sku: string; readonly quantity: number; readonly price: number }[]
  readonly note: string
}

export interface Receipt {
  readonly ok: true
  readonly charged: number
}

export type Tool<Result = Receipt> = (order: Order) => Promise<Result>

/** The tool itself does next to nothing, so that a row shows what surrounds it. */
export async function charge(order: Order): Promise<Receipt> {
  return { ok: true, charged: order.amount }
}

/** Orders of about 300 bytes of JSON, no two alike, parsed as a framework parses what a model wrote. */
export const orders: readonly Order[] = Array.from({ length: 64 }, (_, index) => {
  const number = 10_000 + index * 37
  return JSON.parse(
    JSON.stringify({
      orderId: `ord_${number}`,
      amount: 12 + index / 4,
      currency: 'USD',
      express: index % 3 === 0,
      customer: { id: `cus_${number}`, name: 'Zoë Ångström', email: `customer${number}@example.com` },
      items: [
        { sku: `SKU-${number}-A`, quantity: 1 + (index % 4), price: 4.25 },
        { sku: `SKU-${number}-B`, quantity: 2, price: 3.5 },
      ],
      note: 'leave at the door, call on arrival',
    }),
  ) as Order
})

export function orderAt(index: number): Order {
  return orders[index & 63] as Order
}
