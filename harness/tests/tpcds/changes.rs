//! What happens to the tables of TPC-DS.

/// Facts, the column that numbers their sale, and their date and customer.
const FACTS: [(&str, &str, &str, &str); 6] = [
    (
        "store_sales",
        "ss_ticket_number",
        "ss_sold_date_sk",
        "ss_customer_sk",
    ),
    (
        "store_returns",
        "sr_ticket_number",
        "sr_returned_date_sk",
        "sr_customer_sk",
    ),
    (
        "catalog_sales",
        "cs_order_number",
        "cs_sold_date_sk",
        "cs_bill_customer_sk",
    ),
    (
        "catalog_returns",
        "cr_order_number",
        "cr_returned_date_sk",
        "cr_refunded_customer_sk",
    ),
    (
        "web_sales",
        "ws_order_number",
        "ws_sold_date_sk",
        "ws_bill_customer_sk",
    ),
    (
        "web_returns",
        "wr_order_number",
        "wr_returned_date_sk",
        "wr_refunded_customer_sk",
    ),
];

/// Sales and returns under new numbers, corrections of others, and deletions: a fifth of what changes.
pub fn business(round: u32) -> String {
    let offset = round * 10_000_000;
    let of = |(table, number, date, customer): (&str, &str, &str, &str)| {
        format!(
            "CREATE TEMPORARY TABLE fresh ON COMMIT DROP AS SELECT * FROM {table} WHERE {number} % 50 = {round};
             UPDATE fresh SET {number} = {number} + {offset}, {date} = {date} + 7;
             INSERT INTO {table} SELECT * FROM fresh; DROP TABLE fresh;
             UPDATE {table} SET {customer} = {customer} % 900 + 1 WHERE {number} % 50 = {round} + 10;
             UPDATE {table} SET {date} = {date} + 30 WHERE {number} % 50 = {round} + 20;
             DELETE FROM {table} WHERE {number} % 50 = {round} + 30;"
        )
    };
    let facts: String = FACTS.map(of).concat();
    format!(
        "{facts}
         UPDATE store_sales SET ss_quantity = ss_quantity % 90 + 5, ss_list_price = ss_list_price + 10, ss_net_profit = -ss_net_profit WHERE ss_ticket_number % 50 = {round} + 40;
         UPDATE web_sales SET ws_quantity = ws_quantity % 90 + 5, ws_ext_sales_price = ws_ext_sales_price * 2, ws_ship_date_sk = ws_ship_date_sk + 40 WHERE ws_order_number % 50 = {round} + 40;
         UPDATE catalog_sales SET cs_quantity = cs_quantity % 90 + 5, cs_ext_discount_amt = cs_ext_discount_amt + 50, cs_warehouse_sk = NULL WHERE cs_order_number % 50 = {round} + 40;
         UPDATE inventory SET inv_quantity_on_hand = inv_quantity_on_hand % 700 + 90 WHERE inv_item_sk % 20 = {round};
         DELETE FROM inventory WHERE inv_item_sk % 60 = {round} + 1"
    )
}

/// Dimensions change, and one transaction changes both ends of joins.
pub const DIMENSIONS: [&str; 3] = [
    // There was one of each of these.
    "INSERT INTO store SELECT (s).* FROM (SELECT jsonb_populate_record(s, jsonb_build_object('s_store_sk', s.s_store_sk + i, 's_store_id', 'store ' || i, 's_store_name', 'name ' || i)) AS s
        FROM store s, generate_series(1, 3) i) n;
     INSERT INTO warehouse SELECT (w).* FROM (SELECT jsonb_populate_record(w, jsonb_build_object('w_warehouse_sk', w.w_warehouse_sk + 1, 'w_warehouse_name', 'other')) AS w FROM warehouse w) n;
     UPDATE store_sales SET ss_store_sk = ss_store_sk + ss_ticket_number % 4 WHERE ss_ticket_number % 3 = 1;
     UPDATE store_returns SET sr_store_sk = sr_store_sk + sr_ticket_number % 4 WHERE sr_ticket_number % 3 = 1;
     UPDATE inventory SET inv_warehouse_sk = 2 WHERE inv_item_sk % 7 = 3;
     UPDATE catalog_sales SET cs_warehouse_sk = 2 WHERE cs_order_number % 7 = 3",
    "UPDATE customer SET c_current_addr_sk = c_current_addr_sk % 400 + 1, c_birth_month = c_birth_month % 12 + 1 WHERE c_customer_sk % 9 = 4;
     UPDATE customer_address SET ca_gmt_offset = -6, ca_zip = '85669' WHERE ca_address_sk % 11 = 3;
     DELETE FROM customer WHERE c_customer_sk % 40 = 7;
     UPDATE date_dim SET d_moy = d_moy % 12 + 1, d_dow = (d_dow + 1) % 7 WHERE d_date BETWEEN '2000-11-20' AND '2000-11-26';
     UPDATE item SET i_current_price = i_current_price + 30, i_manager_id = i_manager_id % 100 + 1 WHERE i_item_sk % 5 = 2",
    "UPDATE store_sales SET ss_item_sk = ss_item_sk % 180 + 1, ss_net_paid = ss_net_paid + 1 WHERE ss_ticket_number % 29 = 5 AND ss_item_sk % 2 = 0
        AND NOT EXISTS (SELECT FROM store_sales o WHERE o.ss_ticket_number = store_sales.ss_ticket_number AND o.ss_item_sk = store_sales.ss_item_sk % 180 + 1);
     UPDATE item SET i_category = 'Music', i_class = 'pop', i_brand = 'brand' WHERE i_item_sk % 17 = 5;
     UPDATE customer SET c_preferred_cust_flag = 'Y', c_current_cdemo_sk = c_current_cdemo_sk + 1 WHERE c_customer_sk % 17 = 5;
     UPDATE customer_demographics SET cd_education_status = 'College' WHERE cd_demo_sk % 17 = 5;
     UPDATE household_demographics SET hd_dep_count = 4, hd_buy_potential = '>10000' WHERE hd_demo_sk % 17 = 5;
     UPDATE promotion SET p_channel_email = 'N'; DELETE FROM store WHERE s_store_sk = 3;
     UPDATE web_sales SET ws_net_paid = ws_net_paid + 1 WHERE ws_item_sk % 17 = 5",
];

/// Little is left.
pub const DELETIONS: &str = "DELETE FROM store_returns; DELETE FROM web_returns; DELETE FROM catalog_returns;
     DELETE FROM store_sales WHERE ss_ticket_number % 10 > 0; DELETE FROM web_sales WHERE ws_order_number % 10 > 0;
     DELETE FROM catalog_sales WHERE cs_order_number % 10 > 0; DELETE FROM inventory WHERE inv_item_sk % 10 > 0";
